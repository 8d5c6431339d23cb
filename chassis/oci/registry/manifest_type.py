"""What a document from a registry is: an image manifest or an index, by everything that says so, or an error.

A client that takes one for the other runs another image than the one that was looked at: documents that hold the fields
of both, or whose header says another type than they do themselves, are refused (CVE-2021-41190).

Specification: OCI image specification 1.1, manifest.md and image-index.md (`mediaType`).
"""

from __future__ import annotations

from chassis.oci.json_document import read_object
from chassis.oci.layout_reader import INDEX_TYPES, MANIFEST_TYPES
from chassis.oci.registry.errors import AnswerError

_KNOWN = (*MANIFEST_TYPES, *INDEX_TYPES)
# What a server says that stores files and knows nothing of manifests.
_GENERIC = ("", "application/json", "application/octet-stream", "text/plain")


def manifest_type(header: str, data: bytes, where: str) -> str:
    """The media type of a document; `header` is what the answer's Content-Type says.

    Raises:
      AnswerError: it is not JSON, neither manifest nor index, or contradicts itself.
    """
    fields = read_object(data, where, AnswerError)
    said = fields.get("mediaType", "")
    if header not in (*_KNOWN, *_GENERIC):
        raise AnswerError(f"{where}: the registry sends {header[:100]!r}, expected an image manifest or index")
    if said and said not in _KNOWN:
        raise AnswerError(f"{where}: is {str(said)[:100]!r}; an image manifest or index is expected")
    if said and header in _KNOWN and said != header:
        raise AnswerError(f"{where}: says it is {said!r}, and the registry says it is {header!r}")
    media_type = said or header
    is_index, is_manifest = "manifests" in fields, "layers" in fields or "config" in fields
    if is_index and is_manifest:
        raise AnswerError(f"{where}: has the fields of an image and of an index; clients would disagree on what it is")
    if media_type not in _KNOWN:
        raise AnswerError(f"{where}: neither the registry nor the document says what it is")
    if is_index != (media_type in INDEX_TYPES):
        raise AnswerError(f"{where}: is {media_type!r}, and does not have its fields")
    return media_type
