package pcloudtest

import (
	"errors"
	"fmt"
	"strconv"
)

// apiError is a call that pCloud answers with a result other than 0 (pCloud
// API 12).
type apiError struct {
	code    int
	message string
	extra   object // further members of the reply
}

func (e *apiError) Error() string { return fmt.Sprintf("result %d: %s", e.code, e.message) }

// fail is a refusal with the given code. Clients look at the code alone.
func fail(code int, message string) error { return &apiError{code: code, message: message} }

// errUnplugged ends a request whose connection is to be cut without a reply.
var errUnplugged = errors.New("connection is to be cut")

// codeHeader is the value of X-Error.
func codeHeader(code int) string { return strconv.Itoa(code) }
