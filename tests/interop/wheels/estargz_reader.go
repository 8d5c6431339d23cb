// Reads an eStargz layer as the lazy snapshotter does, with the reference package: the table of contents is verified
// against the digest of the layer's annotation, every chunk against the table. Prints a JSON array with a path each.
//
//	reader BLOB TOC_DIGEST
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sort"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/opencontainers/go-digest"
)

// A path of the layer; Digest is that of the content as it was read, empty for all but files.
type file struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   int64  `json:"mode"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"`
	Link   string `json:"link"`
	Chunks int    `json:"chunks"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reader BLOB TOC_DIGEST")
		os.Exit(2)
	}
	files, err := read(os.Args[1], digest.Digest(os.Args[2]))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(files); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(blob string, toc digest.Digest) ([]file, error) {
	stream, err := os.Open(blob)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	info, err := stream.Stat()
	if err != nil {
		return nil, err
	}
	reader, err := estargz.Open(io.NewSectionReader(stream, 0, info.Size()))
	if err != nil {
		return nil, err
	}
	verifier, err := reader.VerifyTOC(toc)
	if err != nil {
		return nil, err
	}
	root, ok := reader.Lookup("")
	if !ok {
		return nil, errors.New("has no root directory")
	}
	files := []file{}
	if err := walk(reader, verifier, "", root, &files); err != nil {
		return nil, err
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	return files, nil
}

func walk(reader *estargz.Reader, verifier estargz.TOCEntryVerifier, where string, dir *estargz.TOCEntry, files *[]file) error {
	var failure error
	dir.ForeachChild(func(name string, entry *estargz.TOCEntry) bool {
		place := path.Join(where, name)
		found := file{Path: place, Type: entry.Type, Mode: entry.Mode, Size: entry.Size, Link: entry.LinkName}
		if entry.Type == "reg" && entry.Size > 0 {
			found.Digest, found.Chunks, failure = content(reader, verifier, place, entry)
		}
		if failure == nil && entry.Type == "dir" {
			failure = walk(reader, verifier, place, entry, files)
		}
		if failure != nil {
			failure = fmt.Errorf("%s: %w", place, failure)
			return false
		}
		*files = append(*files, found)
		return true
	})
	return failure
}

// content reads a file chunk by chunk, verifies each, and returns the digest of all and the number of chunks.
func content(reader *estargz.Reader, verifier estargz.TOCEntryVerifier, place string, entry *estargz.TOCEntry) (string, int, error) {
	section, err := reader.OpenFile(place)
	if err != nil {
		return "", 0, err
	}
	whole := sha256.New()
	chunks := 0
	for offset := int64(0); offset < entry.Size; chunks++ {
		chunk, ok := reader.ChunkEntryForOffset(place, offset)
		if !ok || chunk.ChunkOffset != offset || chunk.ChunkSize <= 0 {
			return "", 0, fmt.Errorf("no chunk begins at byte %d", offset)
		}
		check, err := verifier.Verifier(chunk)
		if err != nil {
			return "", 0, err
		}
		// At once: each call inflates the chunk from its start.
		part := make([]byte, chunk.ChunkSize)
		if n, err := section.ReadAt(part, offset); err != nil && !(errors.Is(err, io.EOF) && n == len(part)) {
			return "", 0, fmt.Errorf("%d of %d bytes at byte %d: %w", n, len(part), offset, err)
		}
		check.Write(part)
		whole.Write(part)
		if !check.Verified() {
			return "", 0, fmt.Errorf("the chunk at byte %d differs from its digest", offset)
		}
		offset += chunk.ChunkSize
	}
	return "sha256:" + hex.EncodeToString(whole.Sum(nil)), chunks, nil
}
