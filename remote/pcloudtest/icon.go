package pcloudtest

import (
	"path"
	"strings"
)

// fileType is what pCloud guesses of a file from its name (pCloud API 5.1
// and 5.3).
type fileType struct {
	icon        string
	iconID      int // with iconformat=id
	category    int // 0 none, 1 image, 2 video, 3 audio, 4 document, 5 archive
	contentType string
	thumb       bool // thumbnails can be made
}

// unknownType is the type of a name that says nothing.
func unknownType() fileType {
	return fileType{icon: "file", contentType: "application/octet-stream"}
}

// typeOf guesses the type of a file. The table is closed and does not use the
// MIME tables of the machine, so that replies are the same everywhere.
func typeOf(name string) fileType {
	image := func(ct string) fileType { return fileType{"image", 1, 1, "image/" + ct, true} }
	video := func(ct string) fileType { return fileType{"video", 2, 2, "video/" + ct, true} }
	audio := func(ct string) fileType { return fileType{"audio", 3, 3, "audio/" + ct, false} }
	text := func(ct string) fileType { return fileType{"document", 4, 4, "text/" + ct, false} }
	office := func(icon string, id int, ct string) fileType {
		return fileType{icon, id, 4, "application/" + ct, false}
	}
	archive := func(icon string, ct string) fileType { return fileType{icon, 5, 5, "application/" + ct, false} }
	other := func(icon string, id int, ct string) fileType { return fileType{icon, id, 0, ct, false} }

	switch strings.ToLower(strings.TrimPrefix(path.Ext(name), ".")) {
	case "jpg", "jpeg", "jpe":
		return image("jpeg")
	case "png", "gif", "bmp", "tiff", "webp", "heic":
		return image(strings.ToLower(path.Ext(name))[1:])
	case "tif":
		return image("tiff")
	case "svg":
		return fileType{"image", 1, 1, "image/svg+xml", false}
	case "mp4", "m4v":
		return video("mp4")
	case "mov", "qt":
		return video("quicktime")
	case "avi":
		return video("x-msvideo")
	case "mkv":
		return video("x-matroska")
	case "webm", "mpeg":
		return video(strings.ToLower(path.Ext(name))[1:])
	case "mpg":
		return video("mpeg")
	case "mp3":
		return audio("mpeg")
	case "flac", "ogg", "aac":
		return audio(strings.ToLower(path.Ext(name))[1:])
	case "m4a":
		return audio("mp4")
	case "wav":
		return audio("x-wav")
	case "txt", "log", "md", "go", "c", "h", "py", "sh":
		return text("plain")
	case "css", "csv":
		return text(strings.ToLower(path.Ext(name))[1:])
	case "html", "htm":
		return fileType{"web", 18, 4, "text/html", false}
	case "xml", "json":
		return fileType{"document", 4, 4, "application/" + strings.ToLower(path.Ext(name))[1:], false}
	case "pdf":
		return office("document", 17, "pdf")
	case "doc", "dot":
		return office("document", 6, "msword")
	case "docx":
		return office("document", 6, "vnd.openxmlformats-officedocument.wordprocessingml.document")
	case "odt":
		return office("document", 13, "vnd.oasis.opendocument.text")
	case "xls":
		return office("spreadsheet", 8, "vnd.ms-excel")
	case "xlsx":
		return office("spreadsheet", 8, "vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	case "ods":
		return office("spreadsheet", 14, "vnd.oasis.opendocument.spreadsheet")
	case "ppt":
		return office("presentation", 7, "vnd.ms-powerpoint")
	case "pptx":
		return office("presentation", 7, "vnd.openxmlformats-officedocument.presentationml.presentation")
	case "odp":
		return office("presentation", 15, "vnd.oasis.opendocument.presentation")
	case "epub":
		return office("document", 21, "epub+zip")
	case "zip":
		return archive("archive", "zip")
	case "gz", "tgz":
		return archive("archive", "gzip")
	case "tar":
		return archive("archive", "x-tar")
	case "bz2":
		return archive("archive", "x-bzip2")
	case "xz":
		return archive("archive", "x-xz")
	case "7z":
		return archive("archive", "x-7z-compressed")
	case "rar":
		return archive("archive", "x-rar-compressed")
	case "deb", "rpm":
		return archive("package", "octet-stream")
	case "iso":
		return other("diskimage", 0, "application/x-iso9660-image")
	case "dmg":
		return other("diskimage", 23, "application/x-apple-diskimage")
	case "exe", "msi":
		return other("executable", 16, "application/x-msdownload")
	case "ttf", "otf", "woff", "woff2":
		return other("font", 0, "font/"+strings.ToLower(path.Ext(name))[1:])
	case "sqlite", "mdb", "db":
		return other("database", 0, "application/octet-stream")
	case "kml", "gpx":
		return other("gis", 0, "application/octet-stream")
	default:
		return unknownType()
	}
}
