//! Unpacks an image of the fixtures, so that `make demo` needs no tool besides Cargo:
//! `unpack IMAGE.zst IMAGE TIME` writes a sparse file and gives it that modification time (RFC 3339).

use std::{
    error::Error,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
};

/// Zeros in pieces of this many bytes are left out of the file.
const PIECE: usize = 64 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [packed, image, time] = arguments.as_slice() else {
        return Err("usage: unpack IMAGE.zst IMAGE TIME".into());
    };
    let time: jiff::Timestamp = time.parse()?;
    let mut packed = zstd::Decoder::new(File::open(packed).map_err(|error| format!("{packed}: {error}"))?)?;
    let mut file = File::create(image).map_err(|error| format!("{image}: {error}"))?;
    let mut piece = vec![0; PIECE];
    let mut len = 0_u64;
    loop {
        let read = fill(&mut packed, &mut piece)?;
        if read == 0 {
            break;
        }
        let bytes = &piece[..read];
        if bytes.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(len))?;
            file.write_all(bytes)?;
        }
        len += read as u64;
    }
    file.set_len(len)?;
    file.set_modified(time.into())?;
    Ok(())
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
