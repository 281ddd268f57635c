package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
)

const rootHelp = `Mounts a folder of pCloud as a directory.

  pcloudfs mount SOURCE MOUNTPOINT [-o OPTION,...]
                     mount a folder; SOURCE is pcloud://<host>/<folder>
  pcloudfs umount MOUNTPOINT
                     unmount it and wait until everything is in pCloud
  pcloudfs queue MOUNTPOINT
                     list what is not in pCloud yet; retry, save or drop it
  pcloudfs demo [MOUNTPOINT]
                     try it without an account
  pcloudfs emulate --listen ADDR
                     run a pCloud server for tests
  pcloudfs version   print the version
  pcloudfs help COMMAND

Exit status: 0 done, 1 failed, 2 wrong usage.
`

// run executes one command line and returns the exit status.
func run(args []string, env environment) int {
	root := newRoot(env)
	root.SetArgs(args)
	return finish(env, root.Execute())
}

// finish tells an error and returns the exit status.
func finish(env environment, err error) int {
	if err != nil {
		fmt.Fprintln(env.stderr, "pcloudfs: "+oneLine(err.Error()))
	}
	return exitStatus(err)
}

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:                        "pcloudfs",
		Long:                       rootHelp,
		Args:                       cobra.ArbitraryArgs, // so that an unknown command is reported below
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				fmt.Fprint(env.stderr, rootHelp)
				return usagef("a command is missing")
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(env.stdout, helpText(cmd)) })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s%w%s", commandPrefix(cmd), err, seeHelp(cmd))
	})
	root.SetHelpCommand(newHelp(root))
	root.AddCommand(newMount(env), newUmount(env), newQueue(env), newDemo(env), newEmulate(env), newVersion(env))
	prepare(root)
	return root
}

// prepare sets what all commands have in common.
func prepare(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		cmd.Flags().SortFlags = false
		cmd.DisableFlagsInUseLine = true
		cmd.InitDefaultHelpFlag()
		cmd.Flags().Lookup("help").Hidden = true // everybody knows
		prepare(cmd)
	}
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:  "help [COMMAND]",
		Args: arguments(0, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, args[0])
			}
			return cmd.Help()
		},
	}
}

// helpText is the help of one command: what Long says and the flags.
func helpText(cmd *cobra.Command) string {
	text := cmd.Long
	if !cmd.HasParent() {
		return text
	}
	text = "Usage: " + cmd.UseLine() + "\n\n" + text
	if cmd.HasAvailableLocalFlags() {
		text += "\n" + cmd.LocalFlags().FlagUsages()
	}
	return text
}

// unknownCommand does not repeat what may hold a token.
func unknownCommand(root *cobra.Command, name string) error {
	if strings.Contains(name, "://") {
		return usagef("a command is missing; to mount run: pcloudfs mount SOURCE MOUNTPOINT")
	}
	if s := root.SuggestionsFor(name); len(s) > 0 {
		return usagef("unknown command %q; did you mean %s?", name, s[0])
	}
	return usagef("unknown command %q%s", name, seeHelp(root))
}

// arguments demands from least to most arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%stoo few arguments%s", commandPrefix(cmd), seeHelp(cmd))
		case len(args) > most:
			return usagef("%stoo many arguments%s", commandPrefix(cmd), seeHelp(cmd))
		}
		return nil
	}
}

func commandPrefix(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ") + ": "
}

func seeHelp(cmd *cobra.Command) string { return " (see: " + cmd.CommandPath() + " --help)" }

// oneLine makes a message fit for one line of the log and takes tokens out.
func oneLine(s string) string {
	return source.Redact(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

func (e environment) logger(debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}
