#!/bin/sh
# The commands of regctl that rules_oci's oci_image calls on a layout directory, done by oras: no package has regctl.
set -eu

oras={oras}
jq={jq}

# `ocidir://DIRECTORY:TAG` becomes DIRECTORY and TAG.
split() {
    directory=${1#ocidir://}
    tag=${directory##*:}
    directory=${directory%:*}
}

case "$1 ${2:-}" in
"digest "*)
    set -- $(sha256sum)
    echo "sha256:$1"
    ;;
"blob get")
    split "$3"
    "$oras" blob fetch --oci-layout --output - "$directory@$4"
    ;;
"blob put")
    split "$3"
    blob=$(mktemp)
    trap 'rm -f "$blob"' EXIT
    cat >"$blob"
    set -- $(sha256sum "$blob")
    mkdir -p "$directory/blobs/sha256"
    cp "$blob" "$directory/blobs/sha256/$1"
    echo "sha256:$1"
    ;;
"manifest get")
    split "$3"
    case "$5" in
    raw) "$oras" manifest fetch --oci-layout "$directory:$tag" ;;
    '{{.Config.Digest}}') "$oras" manifest fetch --oci-layout "$directory:$tag" | "$jq" -r .config.digest ;;
    *) exit 64 ;;
    esac
    ;;
"manifest put")
    split "$3"
    "$oras" manifest push --oci-layout "$directory:$tag" - >/dev/null
    # oras keeps the manifest that had the tag before; rules_oci wants one entry.
    entries=$("$jq" --arg tag "$tag" \
        '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"] == $tag))' "$directory/index.json")
    echo "$entries" >"$directory/index.json"
    ;;
*)
    echo "regctl.sh: unknown command: $*" >&2
    exit 64
    ;;
esac
