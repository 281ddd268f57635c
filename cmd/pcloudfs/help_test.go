package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// testEnvironment has nothing in it and no signals coming.
func testEnvironment(t *testing.T) (env environment, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return environment{
		stdout: stdout, stderr: stderr,
		getenv:    func(string) string { return "" },
		unsetenv:  func(string) error { return nil },
		signals:   make(chan os.Signal),
		cacheHome: t.TempDir(), dataHome: t.TempDir(),
	}, stdout, stderr
}

func TestHelpFitsAScreen(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", "mount", "umount", "queue", "queue retry", "queue save", "queue drop", "demo", "emulate", "version", "help"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			env, stdout, stderr := testEnvironment(t)
			require.Equal(t, exitOK, run(append(strings.Fields(command), "--help"), env), stderr)
			text := stdout.String()
			require.LessOrEqual(t, strings.Count(text, "\n"), 24, text)
			require.True(t, strings.HasSuffix(text, "\n"))
			for line := range strings.Lines(text) {
				require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
			}
		})
	}
}

func TestEveryCommandIsInTheOverview(t *testing.T) {
	t.Parallel()
	env, _, _ := testEnvironment(t)
	for _, cmd := range newRoot(env).Commands() {
		require.Contains(t, rootHelp, "pcloudfs "+cmd.Name())
	}
}

func TestErrorsAreOneLineWithoutToken(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a; b authid=[hidden]", oneLine("a\r\nb authid=SECRET\n"))
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/mnt/a-b_c.d": "/mnt/a-b_c.d",
		"/mnt/a b":     "'/mnt/a b'",
		"/mnt/it's":    `'/mnt/it'\''s'`,
		"/mnt/$x":      "'/mnt/$x'",
	} {
		require.Equal(t, want, shellQuote(in))
	}
}
