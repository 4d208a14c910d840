//! Calls that look at files and run nothing: pictures, folders, texts (engine.md §3.6).

use std::path::{Path, PathBuf};

use super::Turn;
use super::calls::{Begun, Doing, Progress};
use crate::effect::{Call, CallId};
use crate::files::{FileAnswer, FileError, FileJob};
use crate::input::Outcome;
use crate::model::context;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::thread::Conversation;
use crate::tools::{ImageFault, ImageJob, ImagesRead, Look, LookJob, truncate};
use crate::wire::v2::item::ThreadItem;

/// What the model is told of a picture that comes to it.
const ATTACHED: &str = "attached local image path";

/// A look at a file that is being taken.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Reading {
    call: CallId,
    /// The picture, if it is one.
    picture: Option<PathBuf>,
}

impl Reading {
    pub(super) fn waits_for_call(&self, call: CallId) -> bool {
        self.call == call
    }

    /// The turn ends: what is found is of no interest any more.
    pub(super) fn abort(&self, out: &mut Outside) {
        out.cancel(self.call);
    }
}

impl Turn {
    /// Begins to read the picture that the model wants to see.
    pub(super) fn view_image(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        path: &str,
    ) -> Progress {
        let path = conversation.settings.cwd.join(path);
        let job = FileJob::Images(ImageJob { paths: vec![path.clone()] });
        let call = out.start(Call::Files(job), CallOwner::Look(conversation.id));
        Progress::Open(Doing::Read(Reading { call, picture: Some(path) }))
    }

    /// Something was looked at.
    pub(super) fn on_read(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &Begun,
        reading: &Reading,
        outcome: Outcome<'_>,
    ) -> Progress {
        let answer = match outcome {
            Outcome::Files(answer) => Some(*answer),
            _ => None,
        };
        match (answer, &reading.picture) {
            (Some(FileAnswer::Looked(text)), _) => {
                Progress::Ended(truncate(&text, conversation.truncation()))
            }
            (Some(FileAnswer::Images(read)), Some(path)) => {
                self.on_picture(out, begun, path, Some(read))
            }
            (_, Some(path)) => self.on_picture(out, begun, path, None),
            (_, None) => Progress::Ended(FileError::lost().text),
        }
    }

    /// A picture was read, or is lost. It follows the outputs of the response as a message of its
    /// own.
    fn on_picture(
        &mut self,
        out: &mut Outside,
        begun: &Begun,
        path: &Path,
        read: Option<ImagesRead>,
    ) -> Progress {
        let path = path.to_string_lossy();
        let read = read.and_then(|mut read| read.0.pop());
        let url = match read.unwrap_or_else(|| Err(ImageFault::lost())) {
            Ok(url) => url,
            Err(fault) => return Progress::Ended(fault.as_output(&path)),
        };
        let id = &begun.slot.call_id;
        self.voice.image_viewed(out, id, &path);
        let item = ThreadItem::ImageView { id: id.clone(), path: path.into_owned() };
        self.items.add(out, &self.voice, item);
        self.steered.push_back(context::viewed_image_json(&url));
        Progress::Ended(ATTACHED.to_owned())
    }
}

/// Begins to look at a file or a folder.
pub(super) fn look_at(out: &mut Outside, conversation: &Conversation, look: Look) -> Progress {
    let job = FileJob::Look(LookJob(look));
    let call = out.start(Call::Files(job), CallOwner::Look(conversation.id));
    Progress::Open(Doing::Read(Reading { call, picture: None }))
}
