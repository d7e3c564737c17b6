//! Headers of messages, made harmless before the client library reads them: it goes one call deeper for each table in a table,
//! and a few hundred of them, which a branch may well publish, would end the program.

/// Tables and arrays deeper than this are handed on as bytes. Ours are not nested at all, and what the broker adds (`x-death`)
/// is an array of tables.
const DEEPEST: u32 = 8;

/// A frame's kind, channel and size.
const HEAD: usize = 7;
/// The kind of the frame with a message's properties.
const CONTENT_HEADER: u8 = 2;
/// More than any broker lets through, and little enough to keep.
const LONGEST: usize = 4 << 20;
/// More headers than this are left out: the library takes no frame over its own limit, and the broker divides none of
/// properties. A bundle's are a few hundred bytes.
const MOST_HEADERS: usize = 16 << 10;

/// What comes from the broker, with every frame of properties made harmless. The rest goes by as it is.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// The frame that is being taken in: its head, and if it has properties all of it so far.
    kept: Vec<u8>,
    /// How much of the present frame goes by.
    passing: usize,
    /// How long the frame of properties is, if it is one.
    wanted: Option<usize>,
}

/// A frame of properties that nobody could keep.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the properties of a message have {0} bytes")]
pub(super) struct TooLong(usize);

impl Nesting {
    /// Takes in what has come, and adds to `out` what may be read of it by now.
    pub(super) fn take(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
        while !input.is_empty() {
            if self.passing > 0 {
                let (passes, rest) = input.split_at(self.passing.min(input.len()));
                out.extend_from_slice(passes);
                self.passing -= passes.len();
                input = rest;
                continue;
            }
            let missing = self.wanted.unwrap_or(HEAD).saturating_sub(self.kept.len());
            let (more, rest) = input.split_at(missing.min(input.len()));
            self.kept.extend_from_slice(more);
            input = rest;
            if more.len() == missing {
                self.go_on(out)?;
            }
        }
        Ok(())
    }

    /// What was waited for is there: a head, or a whole frame of properties.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.wanted.take().is_none() {
            let size = long(&self.kept, 3).unwrap_or_default();
            if self.kept.first() == Some(&CONTENT_HEADER) {
                if size > LONGEST {
                    return Err(TooLong(size));
                }
                self.wanted = Some(HEAD + size);
                return if size == 0 { self.go_on(out) } else { Ok(()) };
            }
            // With the byte that ends it.
            self.passing = size + 1;
        } else {
            let frame = &mut self.kept;
            if let Some((at, size)) = headers(&frame[HEAD..]) {
                let table = HEAD + at..HEAD + at + size;
                if size > MOST_HEADERS {
                    frame.drain(table);
                    frame[HEAD + at - 4..HEAD + at].fill(0);
                    let size = u32::try_from(frame.len() - HEAD).unwrap_or_default();
                    frame[3..HEAD].copy_from_slice(&size.to_be_bytes());
                } else {
                    // How far it was understood says nothing: there the library stops reading, too.
                    let _ = flatten(&mut frame[table], true, DEEPEST);
                }
            }
            self.passing = 1;
        }
        out.append(&mut self.kept);
        Ok(())
    }
}

/// Where the headers are in these properties, and how long; none if there are none, or these are no properties.
fn headers(properties: &[u8]) -> Option<(usize, usize)> {
    // Class, weight, size of the body.
    const FLAGS: usize = 12;
    const CONTENT_TYPE: u8 = 0x80;
    const CONTENT_ENCODING: u8 = 0x40;
    const HEADERS: u8 = 0x20;
    let flags = *properties.get(FLAGS)?;
    let mut at = FLAGS + 2;
    for flag in [CONTENT_TYPE, CONTENT_ENCODING] {
        if flags & flag != 0 {
            at += 1 + usize::from(*properties.get(at)?);
        }
    }
    let size = long(properties, at).filter(|_| flags & HEADERS != 0)?;
    let is_there = properties.len() >= at + 4 + size;
    is_there.then_some((at + 4, size))
}

/// Makes bytes of every table and array that is too deep in the values of an array, or with their names of a table. None
/// where they cannot be read any further.
fn flatten(values: &mut [u8], are_named: bool, left: u32) -> Option<()> {
    let mut at = 0;
    while at < values.len() {
        if are_named {
            at += 1 + usize::from(*values.get(at)?);
        }
        let kind = *values.get(at)?;
        at += 1;
        at += match kind {
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            b'V' => 0,
            b'S' | b'x' => 4 + long(values, at)?,
            b'A' | b'F' => {
                let size = long(values, at)?;
                let inner = values.get_mut(at + 4..)?.get_mut(..size)?;
                match left.checked_sub(1) {
                    Some(left) => flatten(inner, kind == b'F', left)?,
                    None => values[at - 1] = b'x',
                }
                4 + size
            }
            _ => return None,
        };
    }
    Some(())
}

/// A number of four bytes.
fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value with so many others around it.
    fn nested(levels: u32, kind: u8) -> Vec<u8> {
        let name: &[u8] = if kind == b'F' { b"\x01k" } else { b"" };
        (0..levels).fold(b"V".to_vec(), |inner, _| {
            let length = u32::try_from(name.len() + inner.len()).unwrap().to_be_bytes();
            [&[kind], &length[..], name, &inner].concat()
        })
    }

    /// A frame of properties with these headers.
    fn frame(values: &[&[u8]]) -> Vec<u8> {
        let entries = values.iter().map(|value| [b"\x01v", *value].concat()).collect::<Vec<_>>().concat();
        let table = [&u32::try_from(entries.len()).unwrap().to_be_bytes(), &entries[..]].concat();
        let properties = [&[0; 12], &b"\xe0\x00\x04text\x00"[..], &table].concat();
        let size = u32::try_from(properties.len()).unwrap().to_be_bytes();
        [&[CONTENT_HEADER, 0, 1], &size[..], &properties, b"\xce"].concat()
    }

    fn taken(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut nesting, mut out) = (Nesting::default(), Vec::new());
        // Up to what is refused, if something is.
        let _ = pieces.iter().try_for_each(|piece| nesting.take(piece, &mut out));
        out
    }

    #[test]
    fn what_is_too_deep_becomes_bytes_and_everything_else_stays() {
        let shallow: [&[u8]; 4] = [&nested(DEEPEST, b'A'), &nested(3, b'F'), b"S\0\0\0\x05Ahoi!", b"t\x01"];
        let body = [&[3, 0, 1, 0, 0, 0, 5][..], b"\x02body\xce"].concat();
        let plain = [frame(&shallow), body.clone()].concat();
        assert_eq!(taken(&[&plain]), plain);
        for kind in *b"AF" {
            let deep = frame(&[b"t\x01", &nested(1_500, kind), &nested(9, b'A')]);
            let harmless = taken(&[&deep, &body]);
            let changed: Vec<_> =
                (0..deep.len()).filter(|at| deep[*at] != harmless[*at]).map(|at| harmless[at]).collect();
            assert_eq!(changed, b"xx", "one in each, at the same depth");
            assert_eq!(harmless.len(), deep.len() + body.len());
            let step = nested(2, kind).len() - nested(1, kind).len();
            let first = deep.iter().zip(&harmless).position(|(before, after)| before != after).unwrap();
            let begins = deep.windows(3).position(|bytes| bytes == [b'v', kind, 0]).unwrap() + 1;
            assert_eq!(first, begins + DEEPEST as usize * step);
        }
        // Too many headers are left out, and what stands around them stays.
        let many = frame(&[&nested(20_000, b'A')]);
        assert_eq!(taken(&[&many, &body]), [frame(&[]), body].concat());
        let long = [CONTENT_HEADER, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Nesting::default().take(&long, &mut Vec::new()), Err(TooLong(0xffff_ffff)));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_added_or_told_by_how_it_comes_in_pieces(
            bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0usize..400, levels in 0u32..40,
        ) {
            let noise = [&[CONTENT_HEADER, 0, 1, 0, 0, 0, 100][..], &bytes].concat();
            let stream = [frame(&[&nested(levels, b'F'), &bytes]), frame(&[&bytes]), noise].concat();
            let whole = taken(&[&stream]);
            prop_assert!(stream.starts_with(&whole) || levels > DEEPEST && whole.len() <= stream.len());
            let (one, other) = stream.split_at(cut.min(stream.len()));
            prop_assert_eq!(taken(&[one, other]), whole.clone());
            let single: Vec<_> = stream.chunks(1).collect();
            prop_assert_eq!(taken(&single), whole);
        }
    }
}
