package store

import (
	"errors"
	"fmt"
)

// Result codes of the pCloud API that this package returns (pCloud API 12).
const (
	CodeInvalidName    = 2001 // name is empty, too long or has forbidden bytes
	CodeParentMissing  = 2002 // a folder of the path does not exist
	CodeAccessDenied   = 2003 // outside of what the view may reach
	CodeExists         = 2004 // the name is taken
	CodeNoFolder       = 2005 // folder does not exist
	CodeNotEmpty       = 2006 // folder is not empty
	CodeDeleteRoot     = 2007 // the root cannot be deleted
	CodeOverQuota      = 2008 // no room for the bytes
	CodeNoFile         = 2009 // file does not exist
	CodeInvalidPath    = 2010 // path does not start with a slash
	CodeNoRevision     = 2029 // file has no such revision
	CodeRenameRoot     = 2042 // the root cannot be renamed
	CodeIntoDescendant = 2043 // a folder cannot be moved below itself
	CodeSameFile       = 2049 // source and destination are the same file
	CodeNotFound       = 2055 // neither file nor folder at that path
	CodeNoUpload       = 2067 // upload session does not exist
	CodeUploadOffset   = 2068 // offset is not the session's size
	CodeCopyOntoItself = 2206 // folder copied onto itself
	CodeCopyIntoItself = 2207 // folder copied below itself
	CodeNoCopyTarget   = 2208 // target of a folder copy does not exist
	CodeInternal       = 5000 // the store itself failed
)

// ErrClosed is returned by calls on an account after Close.
var ErrClosed = errors.New("account is closed")

// Error is a refusal of the pCloud API.
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Is makes errors.Is compare by code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Code returns the result code to answer for err: 0 for nil, that of an
// *Error in its chain, otherwise 5000.
func Code(err error) int {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	}
	return CodeInternal
}

func fail(code int) *Error { return &Error{Code: code, Message: messages[code]} }

// messages are our own words; clients go by the code only (pCloud API 2.2).
var messages = map[int]string{
	CodeInvalidName:    "Invalid file or folder name.",
	CodeParentMissing:  "A component of the parent path does not exist.",
	CodeAccessDenied:   "Access denied.",
	CodeExists:         "File or folder already exists.",
	CodeNoFolder:       "Folder does not exist.",
	CodeNotEmpty:       "Folder is not empty.",
	CodeDeleteRoot:     "The root folder cannot be deleted.",
	CodeOverQuota:      "Not enough space in the account.",
	CodeNoFile:         "File not found.",
	CodeInvalidPath:    "Invalid path.",
	CodeNoRevision:     "Revision not found.",
	CodeRenameRoot:     "The root folder cannot be renamed.",
	CodeIntoDescendant: "A folder cannot be moved into itself.",
	CodeSameFile:       "Source and destination are the same file.",
	CodeNotFound:       "File or folder not found.",
	CodeNoUpload:       "Upload does not exist.",
	CodeUploadOffset:   "Could not write to the upload at this offset.",
	CodeCopyOntoItself: "A folder cannot be copied onto itself.",
	CodeCopyIntoItself: "A folder cannot be copied into its own subfolder.",
	CodeNoCopyTarget:   "The target folder does not exist.",
	CodeInternal:       "Internal error.",
}
