// The package's main file is CommonJS inside a package marked as module, so Node can only import this one.
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export { ResourceType, WgslReflect } from 'wgsl_reflect'
}
