package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/config"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

const emulateHelp = `Runs a pCloud server with one account, for tests of clients, until it is
interrupted. When it is ready it prints one line to standard output:
  {"api":"HOST:PORT","content":"HOST:PORT","ca":"FILE","app_token":"...",
   "account_token":"..."}
Rates are in bytes per second (12.5M) or bits (100mbit).
`

// defaultListen is a free port that only this machine reaches.
const defaultListen = "127.0.0.1:0"

// emulateFlags are the flags of emulate as they are typed.
type emulateFlags struct {
	server pcloudtest.Options
	region string
	quota  config.Size
	rtt    time.Duration
	rates  [4]rate // up, down, of each connection up, down
}

func newEmulate(env environment) *cobra.Command {
	var f emulateFlags
	cmd := &cobra.Command{
		Use:  "emulate --listen ADDR [FLAGS]",
		Long: emulateHelp,
		Args: arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			o, err := f.options()
			if err != nil {
				return usagef("emulate: %w", err)
			}
			if err := emulate(env, o); err != nil {
				return fmt.Errorf("emulate: %w", err)
			}
			return nil
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *emulateFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.server.Listen, "listen", defaultListen, "`ADDR` of the API")
	fl.StringVar(&f.server.ContentListen, "content-listen", "", "`ADDR` for contents (default: a free port)")
	fl.StringVar(&f.server.Dir, "data", "", "`DIR` that keeps the account (default: memory)")
	fl.StringVar(&f.region, "region", "us", "region, `us|eu`")
	fl.StringVar(&f.server.App, "app", "pcloudfs", "`NAME` of the application")
	fl.Var(&f.quota, "quota", "space of the account (default 10G)")
	fl.DurationVar(&f.rtt, "rtt", 0, "round-trip time `DUR`, like 50ms")
	for i, name := range []string{"up", "down", "conn-up", "conn-down"} {
		fl.Var(&f.rates[i], name, []string{
			"from clients to the server, all together", "from the server to clients, all together",
			"of each connection to the server", "of each connection from the server",
		}[i])
	}
	fl.StringVar(&f.server.Tree, "tree", "", "files to make, `SPEC`: files=N,folders=N,avg=SIZE")
}

// options checks the flags and puts them together.
func (f *emulateFlags) options() (pcloudtest.Options, error) {
	o := f.server
	var err error
	if o.Region, err = pcloudtest.ParseRegion(f.region); err != nil {
		return o, err
	}
	if o.ContentListen == "" {
		o.ContentListen = freePort(o.Listen)
	}
	o.Quota = int64(f.quota)
	o.Shape = pcloudtest.Shape{
		RTT: f.rtt,
		Up:  int64(f.rates[0]), Down: int64(f.rates[1]),
		ConnUp: int64(f.rates[2]), ConnDown: int64(f.rates[3]),
	}
	return o, o.Validate()
}

// ready is the line that tells a script where the server is.
type ready struct {
	API          string `json:"api"`
	Content      string `json:"content"`
	CA           string `json:"ca"`
	AppToken     string `json:"app_token"`
	AccountToken string `json:"account_token"`
}

// emulate serves until the first signal.
func emulate(env environment, o pcloudtest.Options) (err error) {
	o.Log = env.logger(false)
	srv, err := pcloudtest.Start(o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := srv.Close(); err == nil {
			err = cerr
		}
	}()
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pcloudfs-emulate-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	ca, err := filepath.Abs(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return err
	}
	if err := srv.WriteCA(ca); err != nil {
		return fmt.Errorf("write the certificate authority: %w", err)
	}
	if err := json.NewEncoder(env.stdout).Encode(ready{
		srv.APIAddr(), srv.ContentAddr(), ca, srv.AppToken(), srv.AccountToken(),
	}); err != nil {
		return err
	}
	o.Log.Info("emulator ready", slog.String("api", srv.APIAddr()), slog.String("content", srv.ContentAddr()))
	sig := <-env.signals
	o.Log.Info("emulator ends", slog.String("signal", sig.String()))
	return nil
}

// freePort is the address of a free port of the host of addr.
func freePort(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, "0")
}

// rate is a number of bytes per second; it implements pflag.Value.
type rate int64

func (r *rate) Set(s string) error {
	n, err := pcloudtest.ParseRate(s)
	*r = rate(n)
	return err
}

func (r *rate) String() string {
	if *r == 0 {
		return ""
	}
	return fmt.Sprint(int64(*r))
}

func (r *rate) Type() string { return "RATE" }
