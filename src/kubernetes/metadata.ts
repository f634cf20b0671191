/** Name and version of an object, without what is in it: a node's record has up to a megabyte. */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
export const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** Objects in an answer to a listing of metadata. */
export const METADATA_PAGE = 500;

/** As much of an object as is looked at there. */
export interface ObjectMetadata {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

/** The part of a query that asks for these objects only. */
export function selecting(fieldSelector: string | undefined): Readonly<Record<string, string>> {
  return fieldSelector === undefined ? {} : { fieldSelector };
}
