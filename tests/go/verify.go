// Verify is a second reader of a Consent Ledger's proofs. It shares no code with the project: signatures, hashes and
// proofs are checked by the Go team's own packages, and the files are read as their specifications say
// (C2SP tlog-checkpoint, tlog-proof, tlog-tiles; docs/formats.md for the consistency proof).
//
//	verify VKEY DIR
//
// DIR holds a static log, as `consent tiles --entries` writes it, a consistency.json to its checkpoint and any number
// of proofs named *.tlog-proof. It prints a line for each thing that holds and exits with 0, or names the first that
// does not and exits with 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: verify VKEY DIR")
		os.Exit(2)
	}
	if err := verify(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func verify(vkey, dir string) error {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	head, err := openCheckpoint(signed, key)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	fmt.Println("checkpoint", head.N, head.Hash)

	proofs, err := filepath.Glob(filepath.Join(dir, "*.tlog-proof"))
	if err != nil {
		return err
	}
	for _, path := range proofs {
		index, err := checkInclusion(path, key)
		if err != nil {
			return fmt.Errorf("inclusion: %w", err)
		}
		fmt.Println("inclusion", index)
	}

	old, err := checkConsistency(filepath.Join(dir, "consistency.json"), key, head)
	if err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	fmt.Println("consistency", old.N, head.N)

	log := static{dir: dir, size: head.N}
	hashes, err := log.check(head)
	if err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	fmt.Println("tiles", hashes)
	return nil
}

// openCheckpoint returns the tree that a signed checkpoint of three lines names.
func openCheckpoint(signed []byte, key note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("not three lines that begin with %s", key.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// checkInclusion checks a tlog-proof whose extra line is the entry, and returns the entry's index.
func checkInclusion(path string, key note.Verifier) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	proof, signed, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(proof), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, fmt.Errorf("not a tlog-proof")
	}
	encoded, isExtra := cutPrefix(lines[1], "extra ")
	decimal, isIndex := cutPrefix(lines[2], "index ")
	if !isExtra || !isIndex {
		return 0, fmt.Errorf("no extra and index lines")
	}
	entry, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return 0, err
	}
	index, err := strconv.ParseInt(decimal, 10, 64)
	if err != nil {
		return 0, err
	}
	hashes, err := parseHashes(lines[3:])
	if err != nil {
		return 0, err
	}
	head, err := openCheckpoint(signed, key)
	if err != nil {
		return 0, err
	}
	return index, tlog.CheckRecord(hashes, head.N, head.Hash, index, tlog.RecordHash(entry))
}

// checkConsistency checks that the log's newest checkpoint extends an older one, and returns the older tree.
func checkConsistency(path string, key note.Verifier, head tlog.Tree) (tlog.Tree, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	var file struct {
		New, Old string
		Proof    []string
		V        int
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return tlog.Tree{}, err
	}
	newer, err := openCheckpoint([]byte(file.New), key)
	if err != nil {
		return tlog.Tree{}, err
	}
	if file.V != 1 || newer != head {
		return tlog.Tree{}, fmt.Errorf("not a proof of version 1 to the checkpoint of the log")
	}
	older, err := openCheckpoint([]byte(file.Old), key)
	if err != nil {
		return tlog.Tree{}, err
	}
	hashes, err := parseHashes(file.Proof)
	if err != nil {
		return tlog.Tree{}, err
	}
	return older, tlog.CheckTree(hashes, newer.N, newer.Hash, older.N, older.Hash)
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// A static log is a folder of tiles (C2SP tlog-tiles): of 256 hashes, and of the entries beneath the lowest.
type static struct {
	dir  string
	size int64
}

// check demands every tile of the log: that each entry has its hash in level 0, that each hash above is that of the
// full tile below it, and that the tiles give the root. It returns the number of hashes that were checked.
func (log static) check(head tlog.Tree) (int64, error) {
	var checked int64
	for level, count := 0, log.size; count > 0; level, count = level+1, count/256 {
		for n := int64(0); n < count; n += 256 {
			tile, err := log.tile(level, n/256)
			if err != nil {
				return 0, err
			}
			below, err := log.below(level, n, len(tile)/tlog.HashSize)
			if err != nil {
				return 0, err
			}
			for i, hash := range below {
				if !bytes.Equal(hash[:], tile[i*tlog.HashSize:][:tlog.HashSize]) {
					return 0, fmt.Errorf("hash %d of level %d is not that of what lies below", n+int64(i), level)
				}
			}
			checked += int64(len(below))
		}
	}
	root, err := tlog.TreeHash(log.size, tlog.HashReaderFunc(log.read))
	if err == nil && root != head.Hash {
		err = fmt.Errorf("the root of the tiles is %s", root)
	}
	return checked, err
}

// below returns the hashes of level that start at n, as what lies below them gives them.
func (log static) below(level int, n int64, width int) ([]tlog.Hash, error) {
	if level == 0 {
		return log.entries(n/256, width)
	}
	var hashes []tlog.Hash
	for i := n; i < n+int64(width); i++ {
		tile, err := log.tile(level-1, i)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, fold(tile))
	}
	return hashes, nil
}

// fold returns the hash over a full tile.
func fold(tile []byte) tlog.Hash {
	if len(tile) == tlog.HashSize {
		var hash tlog.Hash
		copy(hash[:], tile)
		return hash
	}
	half := len(tile) / 2
	return tlog.NodeHash(fold(tile[:half]), fold(tile[half:]))
}

// entries returns the leaf hashes of a bundle of width entries: each has its length before it, in two bytes.
func (log static) entries(n int64, width int) ([]tlog.Hash, error) {
	data, err := os.ReadFile(filepath.Join(log.dir, path("entries", n, width)))
	if err != nil {
		return nil, err
	}
	var hashes []tlog.Hash
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("an entry of bundle %d is cut short", n)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		hashes = append(hashes, tlog.RecordHash(data[2:end]))
		data = data[end:]
	}
	if len(hashes) != width {
		return nil, fmt.Errorf("bundle %d has %d entries", n, len(hashes))
	}
	return hashes, nil
}

// tile returns the hashes of a tile, all that it has at the log's size.
func (log static) tile(level int, n int64) ([]byte, error) {
	width := log.width(level, n)
	data, err := os.ReadFile(filepath.Join(log.dir, path(strconv.Itoa(level), n, width)))
	if err == nil && len(data) != width*tlog.HashSize {
		err = fmt.Errorf("tile %d of level %d has %d bytes", n, level, len(data))
	}
	return data, err
}

func (log static) width(level int, n int64) int {
	if width := log.size>>uint(8*level) - n*256; width < 256 {
		return int(width)
	}
	return 256
}

// read is a tlog.HashReader over the tiles.
func (log static) read(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, index := range indexes {
		tile := tlog.TileForIndex(8, index)
		tile.W = log.width(tile.L, tile.N)
		data, err := log.tile(tile.L, tile.N)
		if err != nil {
			return nil, err
		}
		hash, err := tlog.HashFromTile(tile, data, index)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// path names a tile as tlog-tiles does, which golang.org/x/mod does otherwise.
func path(level string, n int64, width int) string {
	tail := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		tail = fmt.Sprintf("x%03d/%s", n%1000, tail)
	}
	if width < 256 {
		tail = fmt.Sprintf("%s.p/%d", tail, width)
	}
	return "tile/" + level + "/" + tail
}

func cutPrefix(s, prefix string) (string, bool) {
	return strings.TrimPrefix(s, prefix), strings.HasPrefix(s, prefix)
}
