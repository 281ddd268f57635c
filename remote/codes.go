package remote

import "io/fs"

// sentinels returns the errors that a result code stands for, by the table of
// pCloud API 12. Codes that mean "the caller made a mistake that no caller of
// this package can make" match fs.ErrInvalid like the rest of their class.
func sentinels(result int) []error {
	switch result {
	case 1000, 2000, 2094, 2095, 2205, 2229:
		return []error{ErrToken, fs.ErrPermission}
	case 2321:
		return []error{ErrToken, ErrWrongRegion, fs.ErrPermission}
	case 2001:
		return []error{ErrInvalidName, fs.ErrInvalid}
	case 1007:
		return []error{fs.ErrClosed}
	case 1017, 1018, 1900, 1902, 2002, 2005, 2009, 2010, 2029, 2040, 2055, 2208, 7001, 7002:
		return []error{fs.ErrNotExist}
	case 1101:
		return []error{ErrRecursionRefused}
	case 2004:
		return []error{fs.ErrExist}
	case 2006:
		return []error{ErrNotEmpty}
	case 2007, 2028, 2042:
		return []error{ErrBusy}
	case 2008, 2097:
		return []error{ErrQuota}
	case 2011, 2043, 2044, 2206, 2207:
		return []error{fs.ErrInvalid}
	case 2067:
		return []error{ErrNoUpload}
	case 2068:
		return []error{ErrUploadOffset}
	case 4000, 4010:
		return []error{ErrRateLimit}
	}
	switch {
	case result >= 1001 && result <= 1099:
		return []error{fs.ErrInvalid}
	case refused(result):
		return []error{fs.ErrPermission}
	}
	return nil
}

// refused lists the results that are refusals for a reason other than the
// token: access denied, rules of sharing, business, crypto, public and backup
// folders, second factors, and public links.
func refused(result int) bool {
	switch {
	case result == 2003, result == 2012, // access denied, wrong code
		result >= 2013 && result <= 2027, // e-mail verification, sharing
		result >= 2030 && result <= 2039, // registration, upload links
		result == 2064, result == 2074, result == 2092,
		result == 2075,                                 // business account
		result == 2110, result == 2111, result == 2122, // crypto
		result == 2119, result == 2124,
		result == 2237, result == 2261,
		result >= 2282 && result <= 2285, result == 2287, // public folders
		result == 2297, result == 2306, // second factor, device
		result == 2340, result >= 2342 && result <= 2346, // backup folders
		result == 2352,
		result >= 7003 && result <= 7010: // public links, referer
		return true
	}
	return false
}

// temporary reports whether time alone may cure the failure (pCloud API 12,
// column "Retry", and classes 19xx, 4xxx, 5xxx).
func temporary(result int) bool {
	switch {
	case result >= 1900 && result <= 1999, result == 2041, result == 2330,
		result >= 4000 && result <= 5999:
		return true
	}
	return false
}

// effectUnknown reports whether a call may have been carried out although it
// was answered with this result.
func effectUnknown(result int) bool {
	return result == 2041 || result >= 5000 && result <= 5999
}
