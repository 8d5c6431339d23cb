"""Reads an index's page of a project: JSON (PEP 691) or HTML (PEP 503)."""

_ENTITIES = {"&#39;": "'", "&#x27;": "'", "&#x2B;": "+", "&#43;": "+", "&gt;": ">", "&lt;": "<", "&quot;": '"'}

def _unescape(text):
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text.replace("&amp;", "&")

def _from_json(text):
    document = json.decode(text, default = None)
    if type(document) != "dict" or type(document.get("files")) != "list":
        return None
    files = []
    for file in document["files"]:
        sha256 = (file.get("hashes") or {}).get("sha256", "")
        if file.get("filename") and file.get("url") and sha256:
            files.append(struct(filename = file["filename"], url = file["url"], sha256 = sha256))
    return files

def _attribute(tag, name):
    """The value of an attribute of a tag, `href="…"` or `href='…'`; "" if it has none."""
    for quote in ['"', "'"]:
        _, found, rest = tag.partition(name + "=" + quote)
        if found:
            return _unescape(rest.partition(quote)[0])
    return ""

def _from_html(text):
    files = []
    for part in text.split("<a")[1:]:
        tag, closed, rest = part.partition(">")
        if not closed or not tag[:1].isspace():
            continue
        url, _, fragment = _attribute(tag.replace("\n", " "), "href").partition("#")
        filename = _unescape(rest.partition("<")[0].strip())
        if fragment.startswith("sha256=") and filename:
            files.append(struct(filename = filename, url = url, sha256 = fragment.removeprefix("sha256=").partition("&")[0]))
    return files

def _read(text):
    """The files of a page.

    Args:
      text: the page.

    Returns:
      A list of struct(filename, url, sha256); what has no SHA-256 is left out. None if it is not an index's page.
    """
    text = text.strip()
    if text.startswith("{"):
        return _from_json(text)
    return _from_html(text) if "<a" in text else None

def _join(page, url):
    """What a link of a page leads to.

    Args:
      page: the page's own address, with `://`.
      url: the link, absolute or relative.

    Returns:
      An absolute address.
    """
    if "://" in url:
        return url
    scheme, _, rest = page.partition("://")
    host, _, path = rest.partition("/")
    if url.startswith("//"):
        return scheme + ":" + url
    if url.startswith("/"):
        return "%s://%s%s" % (scheme, host, url)
    place = path.split("/")[:-1]
    for part in url.split("/"):
        if part == "..":
            place = place[:-1]
        elif part != ".":
            place.append(part)
    return "%s://%s/%s" % (scheme, host, "/".join(place))

simple_page = struct(
    join = _join,
    read = _read,
)
