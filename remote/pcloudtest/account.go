package pcloudtest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// openAccount opens the account's state and what the server keeps in it.
func (s *Server) openAccount() error {
	q := s.o.Quirks
	so := store.Options{
		Dir: s.o.Dir, Quota: s.o.Quota, Seed: s.o.Seed, Log: s.o.Log,
		Quirks: store.Quirks{
			SelfRename2049: q.RenameToSelf2049,
			ConflictSpace:  q.ConflictSpace,
			ReviveDeleted:  q.ReviveDeleted,
			SessionExpiry:  q.UploadExpiry,
			NoMD5:          s.o.Region == EU,
			NoSHA256:       s.o.Region == US,
		},
	}
	if q.RenameIfExistsFrom2 {
		so.Quirks.NumberFrom = 2
	}
	var err error
	if s.account, err = store.Open(so); err != nil {
		return err
	}
	if err := s.openSecrets(time.Now()); err != nil {
		return err
	}
	return s.openAppFolder()
}

// openSecrets reads or makes the password and the tokens.
func (s *Server) openSecrets(now time.Time) error {
	s.password = s.o.Password
	if s.password == "" {
		s.password, _ = s.account.Setting(settingPassword)
	}
	if s.password == "" {
		s.password = randomToken(16)
		if err := s.account.SetSetting(settingPassword, s.password); err != nil {
			return fmt.Errorf("save password: %w", err)
		}
	}
	saved, _ := s.account.Setting(settingTokens)
	var err error
	s.tokens, err = openTokens(saved, func(v string) error { return s.account.SetSetting(settingTokens, v) }, now)
	return err
}

// openAppFolder makes sure that the application's folder exists, and fills it
// if a tree was asked for.
func (s *Server) openAppFolder() error {
	all := s.account.View(0)
	apps, _, err := all.CreateFolder(0, "Applications", true)
	if err != nil {
		return fmt.Errorf("make /Applications: %w", err)
	}
	app, _, err := all.CreateFolder(apps.ID, s.o.App, true)
	if err != nil {
		return fmt.Errorf("make the application's folder: %w", err)
	}
	s.appFolder = app.ID
	if s.o.Tree == "" {
		return nil
	}
	if err := all.Generate(app.ID, s.o.Tree); err != nil {
		return fmt.Errorf("generate tree: %w", err)
	}
	return nil
}

func accountMethods() map[string]method {
	return map[string]method{
		"getdigest":      {run: (*call).getDigest},
		"userinfo":       {run: (*call).userInfo, access: users},
		"login":          {run: (*call).userInfo, access: users},
		"logout":         {run: (*call).logout},
		"getapiserver":   {run: (*call).getAPIServer},
		"getlocationapi": {run: (*call).getLocationAPI},
		"currentserver":  {run: (*call).currentServer},
		"getip":          {run: (*call).getIP},
		"oauth2_token":   {run: (*call).oauthToken},
	}
}

func (c *call) getDigest() error {
	expires := time.Now().Add(digestLifetime)
	c.add("digest", c.s.newDigest(expires))
	c.add("expires", expires)
	return nil
}

// userInfo describes the account (pCloud API 4.7).
func (c *call) userInfo() error {
	c.reply = append(c.reply, c.s.userInfo()...)
	if c.params.bool("getapiserver") {
		c.add("apiserver", object{{"binapi", []string{}}, {"api", []string{c.s.apiName(c.r)}}})
	}
	if c.params.bool("getlastsubscription") {
		c.add("lastsubscription", object{{"status", "none"}})
	}
	return nil
}

func (s *Server) userInfo() object {
	used, quota := s.account.Usage()
	no, yes := false, true
	return object{
		{"userid", uint64(accountID)},
		{"email", s.o.Email},
		{"emailverified", yes},
		{"registered", time.Date(2024, 11, 8, 16, 40, 12, 0, time.UTC)},
		{"language", "en"},
		{"currency", "EUR"},
		{"premium", no},
		{"premiumlifetime", no},
		{"business", no},
		{"plan", 0},
		{"quota", quota},
		{"usedquota", used},
		{"freequota", quota},
		{"publiclinkquota", int64(50 << 30)},
		{"cryptosetup", no},
		{"cryptosubscription", no},
		{"cryptolifetime", no},
		{"cryptov2isactive", no},
		{"trashrevretentiondays", 15},
		{"haspassword", yes},
		{"agreedwithpp", yes},
		{"haspaidrelocation", no},
		{"usedpublinkbranding", no},
		{"journey", object{{"claimed", no}, {"steps", object{
			{"verifymail", yes}, {"uploadfile", yes}, {"autoupload", no},
			{"downloadapp", no}, {"downloaddrive", no}, {"sentinvitation", no}}}}},
	}
}

// accountID is the userid: above 32 bits, to catch clients that cut it.
const accountID = 4711<<24 + 1

// logout ends the token that the request carries (pCloud API 4.5). It needs
// no valid one.
func (c *call) logout() error {
	token, ok := bearer(c.r.Header.Get("Authorization"))
	if !ok {
		if token = c.params["access_token"]; token == "" {
			token = c.params["auth"]
		}
	}
	if token == "" {
		c.add("auth_deleted", false)
		return nil
	}
	deleted, err := c.s.tokens.revoke(token)
	c.add("auth_deleted", deleted)
	c.conn.setIdentity(nil)
	return err
}

// apiName is the API host as the client reaches it.
func (s *Server) apiName(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return s.api.addr
}

func (c *call) getAPIServer() error {
	c.add("binapi", []string{})
	c.add("api", []string{c.s.apiName(c.r)})
	return nil
}

func (c *call) getLocationAPI() error {
	var all list
	for _, r := range []Region{US, EU} {
		api := r.apiHost()
		if r == c.s.o.Region {
			api = c.s.apiName(c.r)
		}
		all = append(all, object{{"id", r.locationID()}, {"label", r.String()}, {"api", api}, {"binapi", r.binHost()}})
	}
	c.add("locations", all)
	return nil
}

func (c *call) currentServer() error {
	h := hostOf(c.s.apiName(c.r))
	c.add("ip", hostOf(c.s.api.addr))
	c.add("ipbin", hostOf(c.s.api.addr))
	c.add("ipv6", "::1")
	c.add("hostname", h)
	return nil
}

func (c *call) getIP() error {
	c.add("ip", clientIP(c.r))
	c.add("country", false)
	return nil
}

// clientIP is the address that the client calls from.
func clientIP(r *http.Request) string { return hostOf(r.RemoteAddr) }
