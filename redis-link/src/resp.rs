//! Commands as bytes (RESP).

/// Appends the head of a command of so many words.
pub(crate) fn array(out: &mut Vec<u8>, words: usize) {
    head(out, b'*', words);
}

/// Appends a word.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    head(out, b'$', text.len());
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// A command of words.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    /// Mark, number and line ends of a word that is not very long.
    const OVERHEAD: usize = 10;
    let size = words.iter().map(|word| word.len() + OVERHEAD).sum::<usize>();
    let mut out = Vec::with_capacity(size + OVERHEAD);
    array(&mut out, words.len());
    for word in words {
        string(&mut out, word);
    }
    out
}

fn head(out: &mut Vec<u8>, mark: u8, number: usize) {
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_packed_as_the_crate_packs_them() {
        let long = vec![b'x'; 12_345];
        for words in [&[&b"PING"[..]][..], &[b"publish", b"", &long, b"1"]] {
            let mut expected = redis::Cmd::new();
            for word in words {
                expected.arg(*word);
            }
            assert_eq!(command(words), expected.get_packed_command());
        }
    }
}
