package remote

import (
	"context"
)

// UserInfo is the account that the token belongs to (pCloud API 4.7).
type UserInfo struct {
	UserID        uint64
	Email         string
	EmailVerified bool
	Premium       bool
	Quota, Used   int64 // bytes; Used may exceed Quota
	TrashDays     int   // how long deleted files and revisions are kept
}

// UserInfo returns the account that the token belongs to.
func (c *Client) UserInfo(ctx context.Context) (UserInfo, error) {
	var reply wireUser
	k := &call{method: "userinfo", params: params{}, how: reader, out: &reply}
	var u UserInfo
	k.after = func() *Error {
		var err error
		if u, err = reply.info(); err == nil && reply.Quota == nil {
			err = protocolErrorf("no quota")
		}
		if err != nil {
			return &Error{Err: err}
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return UserInfo{}, err
	}
	return u, nil
}

type wireUser struct {
	UserID        uint64 `json:"userid"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"emailverified"`
	Premium       bool   `json:"premium"`
	Quota         *int64 `json:"quota"`
	Used          int64  `json:"usedquota"`
	TrashDays     int    `json:"trashrevretentiondays"`
}

func (w *wireUser) info() (UserInfo, error) {
	u := UserInfo{UserID: w.UserID, Email: w.Email, EmailVerified: w.EmailVerified, Premium: w.Premium,
		Used: w.Used, TrashDays: w.TrashDays}
	if w.Quota != nil {
		u.Quota = *w.Quota
	}
	if u.Quota < 0 || u.Used < 0 {
		return UserInfo{}, protocolErrorf("negative quota")
	}
	return u, nil
}

// APIServers are hosts that answer for the region, the nearest first.
type APIServers struct {
	API, BinAPI []string
}

// APIServers asks which hosts answer for the region (pCloud API 1). It needs
// no token, and is sent none. The client never follows the answer by itself:
// a token goes only to the host it was given for.
func (c *Client) APIServers(ctx context.Context) (APIServers, error) {
	var reply struct {
		API    []string `json:"api"`
		BinAPI []string `json:"binapi"`
	}
	k := &call{method: "getapiserver", params: params{}, how: reader, out: &reply, anonymous: true}
	k.after = func() *Error {
		for _, h := range append(reply.API[:len(reply.API):len(reply.API)], reply.BinAPI...) {
			if checkHost(h) != nil {
				return &Error{Err: protocolErrorf("host %.100q", h)}
			}
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return APIServers{}, err
	}
	return APIServers{reply.API, reply.BinAPI}, nil
}
