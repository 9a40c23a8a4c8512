//! Fixture files: the same bytes on every run, numbers that parse back to what they were.

use std::{env, fmt::Write, fs, path::PathBuf};

/// JSON text; the caller keeps it well-formed.
pub fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

pub fn list<T: std::fmt::Debug>(values: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = values.into_iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", items.join(","))
}

pub fn rows(rows: impl IntoIterator<Item = String>, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    let items: Vec<String> = rows.into_iter().map(|row| format!("{pad}  {row}")).collect();
    format!("[\n{}\n{pad}]", items.join(",\n"))
}

pub fn object<'a>(entries: impl IntoIterator<Item = (&'a str, String)>, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    let items: Vec<String> = entries.into_iter().map(|(key, value)| format!("{pad}  \"{key}\": {value}")).collect();
    format!("{{\n{}\n{pad}}}", items.join(",\n"))
}

/// Little-endian bytes as base64.
pub fn pack(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("\"");
    for chunk in bytes.chunks(3) {
        let mut word = [0u8; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for digit in 0..4 {
            if digit <= chunk.len() {
                out.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char);
            } else {
                out.push('=');
            }
        }
    }
    out.push('"');
    out
}

pub fn source(engine: &str, version: &str, command: &str) -> String {
    object([("engine", string(engine)), ("version", string(version)), ("command", string(command))], 1)
}

pub fn write(folder: &str, name: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder).join(format!("{name}.json"));
    fs::create_dir_all(file.parent().expect("a fixture lies in a folder")).expect("the folder can be made");
    let mut text = text.to_owned();
    text.write_char('\n').expect("a string can grow");
    fs::write(&file, &text).expect("the fixture can be written");
    println!("{folder}/{name}: {} bytes", text.len());
}

/// Multiples of 2^-10 in [-2, 2): every one of them is a float16, so that one input serves all types.
pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2654435761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 20) as f32 / 1024.0 - 2.0
        })
        .collect()
}
