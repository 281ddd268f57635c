// Package pcloudtest is a pCloud service in this process: for tests of pCloud
// clients, for trying one out without an account, and for developing one. It
// is a server and not a mock: other people's clients accept it for the real
// thing. pCloud's behaviour is cited as "(pCloud API 7.8)".
//
// [Start] opens two hosts with TLS and a certificate authority of their own:
// the API host, which has the JSON API, the OAuth consent page and an admin
// API, and the content host, which serves the links of getfilelink. With
// Options.InProcess there are no sockets and no TLS; a client reaches the
// server through [Server.Transport], and both may run in a testing/synctest
// bubble.
//
//	srv := pcloudtest.New(t, pcloudtest.Options{})
//	client := &http.Client{Transport: srv.Transport()}
//	req, _ := http.NewRequest("GET", "https://"+srv.APIAddr()+"/listfolder?folderid=0", nil)
//	req.Header.Set("Authorization", "Bearer "+srv.AppToken())
//
// # Accounts and tokens
//
// There is one account in one region, with a password and two OAuth tokens:
// one sees everything, the other sees /Applications/<App> as folder 0 and
// nothing else. The consent page gives out more. Everything, the certificate
// authority included, stays the same as long as Options.Dir does.
//
// # Faults and conditions
//
// [Server.SetFaults] makes calls fail in the ways that networks and services
// do, [Server.SetShape] sets round-trip time and rates. [Quirks] switches
// between the possible answers where nobody knows what the service does.
//
// # What it does not have
//
// The binary protocol, the file_* methods (refused with 2003, as the real
// service does to OAuth tokens), shares, thumbnails, archives, encryption,
// public pages, and gzip of replies. Credentials do not stick to a connection
// unless Quirks.StickyConnection says so.
//
// # The admin API
//
// It is on the API host, for requests with the header X-Emulator-Admin and
// the account token in it: GET /_admin/stats and /_admin/tree, POST
// /_admin/stats/reset, /_admin/faults (a list of rules, which replaces the one
// in force) and /_admin/shape (the conditions to change).
//
// # Locks
//
// The locks of this package are leaves: none is held while another is taken,
// but for tokenStore.saving before tokenStore.mu, nor while waiting for a
// client, the store or a timer; saving a token is the exception.
package pcloudtest
