/** Styles that esbuild takes along. */
declare module "*.css";
