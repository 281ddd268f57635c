package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/pcloudfs/pcloudfs"

// layer forbids imports. Packages are written relative to the module; "x/..."
// is x and everything below it.
type layer struct {
	from   string
	except []string // packages below from that the rule spares
	tests  bool     // the rule is for _test.go files too
	not    []string // packages of this module, or of others by their full path
	reason string
}

// layers is the direction of dependencies: cmd → fs → cache → remote.
var layers = []layer{
	{
		from: "remote/pcloudtest/...", tests: true, not: []string{"cache/...", "fs/...", "cmd/..."},
		reason: "the server is for anybody who writes a pCloud client",
	},
	{
		from: "remote/pcloudtest/...", not: []string{"remote", "remote/remotetest"},
		reason: "the server is an implementation of its own: a mistake in the client's types must not hide itself in it",
	},
	{
		from: "remote/...", tests: true, not: []string{"cache/...", "fs/...", "cmd/..."},
		reason: "the client knows the API and nothing of who uses it",
	},
	{
		from: "cache/...", tests: true, not: []string{"fs/...", "cmd/..."},
		reason: "a volume knows nothing of FUSE or the command line",
	},
	{
		from: "fs/...", tests: true, not: []string{"cmd/..."},
		reason: "the command line is on top",
	},
	{
		from: "...", except: []string{"cmd/...", "remote/pcloudtest/...", "remote/remotetest", "integration/..."},
		not:    []string{"remote/pcloudtest/..."},
		reason: "outside tests only the commands demo and emulate run a server",
	},
	{
		from: "...", except: []string{"fs/...", "integration/..."}, tests: true,
		not:    []string{"github.com/hanwen/go-fuse/v2/..."},
		reason: "fs is the only package that speaks FUSE, so that the rest can be tested without a kernel",
	},
	{
		from: "...", except: []string{"cmd/..."},
		not: []string{
			"flag", "github.com/spf13/cobra/...", "github.com/spf13/pflag/...", "github.com/adrg/xdg/...",
		},
		reason: "only the command line reads flags and the places of files",
	},
	{
		from: "...", except: []string{"fs/fstest", "remote/remotetest", "integration/..."},
		not:    []string{"testing", "github.com/stretchr/testify/...", "go.uber.org/goleak/...", "pgregory.net/rapid/..."},
		reason: "test code is not part of the program",
	},
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	for _, f := range sourceFiles(t) {
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			for _, l := range layers {
				if l.forbids(f, imported) {
					t.Errorf("%s imports %s: %s", f.name, imported, l.reason)
				}
			}
		}
	}
}

// TestOnlyCommandsReadTheEnvironment keeps the reading of settings in one place.
func TestOnlyCommandsReadTheEnvironment(t *testing.T) {
	t.Parallel()
	forbidden := []string{"Getenv", "LookupEnv", "ExpandEnv", "Args", "UserCacheDir", "UserHomeDir", "UserConfigDir"}
	// Packages for tests, which are switched on and off by the environment.
	except := []string{"cmd/...", "fs/fstest", "remote/remotetest", "integration/..."}
	for _, f := range sourceFiles(t) {
		if f.test || matches(except, f.pkg) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(forbidden, sel.Sel.Name) {
				t.Errorf("%s uses os.%s: only cmd reads the environment", f.name, sel.Sel.Name)
			}
			return true
		})
	}
}

// TestLayersCatchViolations makes sure that the rules are not vacuous.
func TestLayersCatchViolations(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pkg      string
		test     bool
		imported string
		caught   bool
	}{
		{"remote/pcloudtest/internal/store", false, module + "/remote", true},
		{"remote/pcloudtest", false, module + "/remote/pcloudtest/internal/store", false},
		{"remote/pcloudtest", true, module + "/remote", false},
		{"remote", false, module + "/cache", true},
		{"remote", false, module + "/remote/pcloudtest", true},
		{"remote", true, module + "/remote/pcloudtest", false},
		{"cache/upload", false, module + "/fs", true},
		{"cache", true, "github.com/hanwen/go-fuse/v2/fuse", true},
		{"cache", false, module + "/remote", false},
		{"fs", false, "github.com/hanwen/go-fuse/v2/fs", false},
		{"fs", false, module + "/cmd/pcloudfs/internal/config", true},
		{"fs", false, "testing", true},
		{"fs", true, "testing", false},
		{"fs", false, "testing/iotest", false},
		{"cmd/pcloudfs", false, module + "/remote/pcloudtest", false},
		{"cmd/pcloudfs", false, "github.com/hanwen/go-fuse/v2/fuse", true},
		{"cache", false, "github.com/adrg/xdg", true},
	}
	for _, tt := range tests {
		f := sourceFile{pkg: tt.pkg, test: tt.test}
		caught := slices.ContainsFunc(layers, func(l layer) bool { return l.forbids(f, tt.imported) })
		require.Equal(t, tt.caught, caught, "%s imports %s (test %v)", tt.pkg, tt.imported, tt.test)
	}
}

func (l layer) forbids(f sourceFile, imported string) bool {
	if f.test && !l.tests || !matches([]string{l.from}, f.pkg) || matches(l.except, f.pkg) {
		return false
	}
	name, own := strings.CutPrefix(imported, module+"/")
	if own && matches([]string{name}, f.pkg) {
		return false
	}
	return matches(l.not, name)
}

func matches(patterns []string, pkg string) bool {
	for _, p := range patterns {
		prefix, below := strings.CutSuffix(p, "/...")
		if p == "..." || pkg == prefix || below && strings.HasPrefix(pkg, prefix+"/") {
			return true
		}
	}
	return false
}

type sourceFile struct {
	name string // relative to the module
	pkg  string // its directory
	test bool
	ast  *ast.File
}

// sourceFiles parses every Go file of the module, whatever its build constraints.
func sourceFiles(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	root := os.DirFS(filepath.Join("..", ".."))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == demoPoint):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, sourceFile{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), f})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}
