//! Owns: pictures in files: read within a bound, known by their first bytes, and given to the model
//! as data URLs (engine.md §1.5, §3.6). They are passed on as they are; the backend scales them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::files::{FileError, FileErrorKind, Files};
use crate::limits;

/// Reads pictures.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct ImageJob {
    /// Their files; absolute.
    pub(crate) paths: Vec<PathBuf>,
}

/// What an [`ImageJob`] read, in its order. `Debug` shows how many.
pub struct ImagesRead(pub(crate) Vec<Result<String, ImageFault>>);

/// Why a picture cannot be shown to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageFault {
    /// There is no such file, or nobody may ask for it.
    Missing(FileError),
    /// It is a folder.
    Folder,
    /// Its content cannot be had.
    Unreadable(FileError),
    /// Its content is no picture of a kind that models see.
    Unknown,
}

impl ImageJob {
    pub(crate) fn run(self, files: &dyn Files) -> ImagesRead {
        let mut room = limits::IMAGES_BYTES_MAX;
        ImagesRead(self.paths.iter().map(|path| read(files, path, &mut room)).collect())
    }
}

impl std::fmt::Debug for ImagesRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ImagesRead").field(&self.0.len()).finish()
    }
}

/// The picture as a data URL; `room` is what may still be read.
fn read(files: &dyn Files, path: &Path, room: &mut u64) -> Result<String, ImageFault> {
    let stat = files.stat(path).map_err(ImageFault::Missing)?;
    if stat.is_dir {
        return Err(ImageFault::Folder);
    }
    let limit = (*room).min(limits::IMAGE_BYTES_MAX);
    let bytes = files.read(path, limit).map_err(|error| match error.kind {
        FileErrorKind::TooLarge => ImageFault::Unreadable(FileError {
            text: format!("larger than the {limit} bytes that are left for pictures"),
            ..error
        }),
        _ => ImageFault::Unreadable(error),
    })?;
    let kind = kind_of(&bytes).ok_or(ImageFault::Unknown)?;
    *room = room.saturating_sub(bytes.len() as u64);
    Ok(format!("data:{kind};base64,{}", STANDARD.encode(&bytes)))
}

/// The MIME type of a picture that models see.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

impl ImageFault {
    /// The backend failed before it could read.
    pub(crate) fn lost() -> Self {
        Self::Unreadable(FileError::lost())
    }

    /// The turn ended before it was read.
    pub(crate) fn unread() -> Self {
        let text = "the turn ended before it was read".to_owned();
        Self::Unreadable(FileError { kind: FileErrorKind::Other, text })
    }

    /// What stands in the user's message in place of the picture.
    pub(crate) fn in_message(&self, path: &str) -> String {
        match self {
            Self::Missing(error) | Self::Unreadable(error) => {
                format!("The image at `{path}` could not be read: {error}")
            }
            Self::Folder => format!("The image at `{path}` could not be read: it is a folder"),
            Self::Unknown => {
                format!("The file at `{path}` is not a PNG, JPEG, GIF or WebP image.")
            }
        }
    }

    /// What a model is told that wanted to look at it (engine.md §3.6).
    pub(crate) fn as_output(&self, path: &str) -> String {
        match self {
            Self::Missing(error) => format!("unable to locate image at `{path}`: {error}"),
            Self::Folder => format!("image path `{path}` is not a file"),
            Self::Unreadable(_) | Self::Unknown => self.in_message(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageFault, ImageJob, kind_of};
    use crate::files::{FileErrorKind, MemoryFiles};
    use crate::limits;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n...";

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        let kinds = [PNG, b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 "].map(kind_of);
        let expected = ["png", "jpeg", "gif", "webp"].map(|kind| format!("image/{kind}"));
        assert_eq!(kinds.map(|kind| kind.unwrap_or("none").to_owned()), expected);
        for other in [&b""[..], b"GIF88a", b"RIFF\0\0\0\0WAVE", b"\x89PNG", b"<svg>"] {
            assert_eq!(kind_of(other), None);
        }
    }

    #[test]
    fn each_is_read_or_has_its_fault() {
        let files = MemoryFiles::new().with("/a.png", PNG).with("/b.png", "text");
        files.folder("/dir");
        let paths = ["/a.png", "/b.png", "/dir", "/none"].map(Into::into).to_vec();
        let read = ImageJob { paths }.run(&files).0;
        assert_eq!(read[0].as_deref(), Ok("data:image/png;base64,iVBORw0KGgouLi4="));
        let told = |at: usize, path: &str| read[at].as_ref().map_err(|f| f.as_output(path)).err();
        let text = "The file at `/b.png` is not a PNG, JPEG, GIF or WebP image.";
        assert_eq!(told(1, "/b.png").as_deref(), Some(text));
        assert_eq!(told(2, "/dir").as_deref(), Some("image path `/dir` is not a file"));
        let missing = told(3, "/none").expect("a fault");
        assert!(missing.starts_with("unable to locate image at `/none`: "), "{missing}");
    }

    #[test]
    fn one_picture_and_all_together_have_a_bound() {
        let size = usize::try_from(limits::IMAGE_BYTES_MAX).expect("small");
        let mut large = PNG.to_vec();
        large.resize(size, 0);
        let mut larger = large.clone();
        larger.push(0);
        let files = MemoryFiles::new().with("/large.png", large).with("/larger.png", larger);
        let fits =
            usize::try_from(limits::IMAGES_BYTES_MAX / limits::IMAGE_BYTES_MAX).expect("few");
        let mut paths = vec!["/larger.png".into()];
        paths.extend(vec!["/large.png".into(); fits + 1]);
        let read = ImageJob { paths }.run(&files).0;
        let too_large = |read: &Result<String, ImageFault>| {
            matches!(
                read,
                Err(ImageFault::Unreadable(error)) if error.kind == FileErrorKind::TooLarge
            )
        };
        let faults: Vec<bool> = read.iter().map(too_large).collect();
        assert!(faults[0] && faults[fits + 1] && faults[1..=fits].iter().all(|fault| !fault));
    }
}
