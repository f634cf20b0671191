/** Imported by name: whoever imports the client package as a whole at run time has all of it, in a bundle too. */
export { dumpYaml } from '@kubernetes/client-node';
