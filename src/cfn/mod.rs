//! CloudFormation's custom resource protocol. It knows nothing of Cognito.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

pub mod deliver;
pub mod request;
pub mod response;

pub use deliver::{Deliver, DeliveryError};
pub use request::{Envelope, Event, Request, RequestError, ResponseUrl};
pub use response::{Data, Response};
