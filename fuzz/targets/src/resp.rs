//! Bytes as replies of Redis: where each ends is the same however they come, and what is read is what was sent.

use bytes::Bytes;
use synckairos::redis::Pipeline;
use synckairos::redis::resp::{FrameScanner, Value};

use crate::choices::Choices;

/// The size of the pieces in which the replies come, then the replies.
pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let step = 1 + choices.below(16);
    let bytes = choices.rest();
    let (ends, is_broken) = ends(bytes, bytes.len().max(1));
    let piecewise = self::ends(bytes, step);
    assert_eq!(piecewise, (ends.clone(), is_broken), "in pieces of {step}: {bytes:?}");
    let mut start = 0;
    for end in ends {
        let mut frame = Bytes::copy_from_slice(&bytes[start..end]);
        if let Ok(values) = Value::decode(&mut frame, 1) {
            assert!(frame.is_empty(), "{frame:?} is left of {:?}", &bytes[start..end]);
            written_again(&values[0]);
        }
        start = end;
    }
    sent(bytes);
}

/// Where replies end that come in pieces of `step` bytes, and whether something is no reply.
fn ends(bytes: &[u8], step: usize) -> (Vec<usize>, bool) {
    let (mut scanner, mut ends, mut come) = (FrameScanner::default(), Vec::new(), 0);
    loop {
        match scanner.end(&bytes[..come]) {
            Ok(Some(end)) => ends.push(end),
            Ok(None) if come == bytes.len() => return (ends, false),
            Ok(None) => come = (come + step).min(bytes.len()),
            Err(_) => return (ends, true),
        }
    }
}

fn written_again(value: &Value) {
    let mut out = Vec::new();
    if write(value, &mut out).is_none() {
        return;
    }
    assert_eq!(FrameScanner::default().end(&out), Ok(Some(out.len())), "{value:?}");
    assert_eq!(Value::decode(&mut Bytes::from(out), 1), Ok(vec![value.clone()]));
}

/// As Redis writes it; `None` when it does not.
fn write(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Nil => out.extend(b"$-1\r\n"),
        Value::Int(number) => out.extend(format!(":{number}\r\n").bytes()),
        Value::Status(text) => out.extend([b"+", &text[..], b"\r\n"].concat()),
        Value::Error(text) if text.contains(['\r', '\n']) => return None,
        Value::Error(text) => out.extend(format!("-{text}\r\n").bytes()),
        Value::Text(text) => {
            out.extend(format!("${}\r\n", text.len()).bytes());
            out.extend([&text[..], b"\r\n"].concat());
        }
        Value::List(values) => {
            out.extend(format!("*{}\r\n", values.len()).bytes());
            values.iter().try_for_each(|value| write(value, out))?;
        }
    }
    Some(())
}

/// A pipeline is as many commands as were put into it, and each is an array of strings.
fn sent(bytes: &[u8]) {
    let mut pipeline = Pipeline::new();
    let commands: Vec<Vec<&[u8]>> =
        bytes.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b' ').collect()).collect();
    for args in &commands {
        pipeline.cmd("ECHO");
        for (place, arg) in args.iter().enumerate() {
            // The length that is expected may be any.
            if place % 2 == 0 {
                pipeline.arg(*arg)
            } else {
                pipeline.arg_with(place, |out| out.extend(*arg))
            };
        }
    }
    let each: Vec<_> = pipeline.each().collect();
    assert_eq!((each.len(), pipeline.len()), (commands.len(), commands.len()));
    for (command, args) in each.into_iter().zip(&commands) {
        let text = |bytes: &[u8]| Value::Text(Bytes::copy_from_slice(bytes));
        let expected = std::iter::once(text(b"ECHO")).chain(args.iter().map(|arg| text(arg))).collect();
        assert_eq!(Value::decode(&mut Bytes::copy_from_slice(command), 1), Ok(vec![Value::List(expected)]));
    }
}
