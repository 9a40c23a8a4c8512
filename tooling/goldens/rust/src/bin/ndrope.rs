//! ndrope, run for real: positions, tables and both rotations in every type the crate has.

use any_tensor::Tensor;
use digit_layout::types;
use half::f16;
use ndarray_layout::ArrayLayout;
use ndrope::{
    pos_ids::{PosTy, pos_2d_qwen2vl_vit, pos_nd},
    rope_m, rope_nd,
    sin_cos::{Float, sin_cos_nd},
    tensor,
};
use ropewalk_goldens::{list, numbers, object, pack, rows, source, string, write};

const BASE: f32 = 10000.0;

fn ndrope_source() -> String {
    source("ndrope", "0.2.0", "cargo run --release --bin ndrope")
}

/// Where the elements of a [heads, tokens, headDim] tensor lie, counted in elements.
#[derive(Clone, Copy)]
struct Layout {
    head: usize,
    token: usize,
    offset: usize,
    length: usize,
}

impl Layout {
    fn packed(heads: usize, tokens: usize, head_dim: usize) -> Self {
        Layout { head: tokens * head_dim, token: head_dim, offset: 0, length: heads * tokens * head_dim }
    }
}

/// An element type of the data, and the type of its tables.
trait Element: Copy + 'static {
    type Table: Float + std::ops::Neg<Output = Self::Table> + std::ops::Div<Output = Self::Table> + std::ops::Mul<Output = Self::Table>;
    const NAME: &'static str;
    fn layout() -> digit_layout::DigitLayout;
    fn of(value: f32) -> Self;
    fn bytes(self) -> Vec<u8>;
}

macro_rules! element {
    ($type:ty, $table:ty, $name:literal, $layout:expr, $from:expr) => {
        impl Element for $type {
            type Table = $table;
            const NAME: &'static str = $name;
            fn layout() -> digit_layout::DigitLayout {
                $layout
            }
            fn of(value: f32) -> Self {
                $from(value)
            }
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    };
}
element!(f16, f32, "float16", types::F16, f16::from_f32);
element!(f32, f32, "float32", types::F32, |value| value);
element!(f64, f64, "float64", types::F64, |value| value as f64);

#[derive(Clone)]
enum Positions {
    Grid,
    Vision,
    /// Rows taken from a table that is longer than the grid.
    Chosen { rows: Vec<usize>, table: usize },
}

#[derive(Clone)]
struct Case {
    name: &'static str,
    heads: usize,
    head_dim: usize,
    grid: Vec<usize>,
    sections: Option<Vec<usize>>,
    positions: Positions,
    layout: Option<Layout>,
    note: Option<&'static str>,
}

fn packed<T: Element>(values: &[T]) -> String {
    pack(&values.iter().flat_map(|value| value.bytes()).collect::<Vec<u8>>())
}

fn positions_of<P: PosTy + Clone>(case: &Case) -> Tensor<Box<[P]>, 2> {
    match &case.positions {
        Positions::Grid => pos_nd::<P>(case.grid.clone()),
        Positions::Vision => pos_2d_qwen2vl_vit::<P>([case.grid[0] * 14, case.grid[1] * 14], 14),
        Positions::Chosen { rows, .. } => {
            let data: Box<[P]> = rows.iter().map(|&row| P::from_usize(row)).collect();
            Tensor::from_raw_parts(P::dt(), ArrayLayout::<2>::new(&[rows.len(), 1], &[1, 1], 0), data)
        }
    }
}

fn rotate<T: Element, P: PosTy + Clone>(case: &Case, adjacent: bool) -> (Vec<T>, Vec<T>) {
    let tokens: usize = case.grid.iter().product();
    let shape = [case.heads, tokens, case.head_dim];
    let layout = case.layout.unwrap_or(Layout::packed(case.heads, tokens, case.head_dim));
    let before: Vec<T> = numbers(layout.length, 7).into_iter().map(T::of).collect();
    let mut after = before.clone();
    let size = size_of::<T>();
    let base = T::Table::from_f32(BASE);
    let [sin, cos] = match case.positions {
        Positions::Chosen { table, .. } => {
            sin_cos_nd(&[case.heads, table, case.head_dim], &[table], case.sections.clone(), base)
        }
        _ => sin_cos_nd(&shape, &case.grid, case.sections.clone(), base),
    };
    {
        // The crate takes raw bytes; the vector outlives the view and nothing else touches it meanwhile.
        let raw = unsafe { std::slice::from_raw_parts_mut(after.as_mut_ptr().cast::<u8>(), size * after.len()) };
        let strides = [layout.head * size, layout.token * size, size].map(|stride| stride as isize);
        let view = tensor(raw, T::layout(), shape.to_vec(), strides.to_vec(), layout.offset * size);
        let positions = positions_of::<P>(case);
        let rotate = if adjacent { rope_nd::<T::Table, P> } else { rope_m::<T::Table, P> };
        rotate(view, positions, sin, cos, &case.grid, case.sections.clone());
    }
    (before, after)
}

/// One record for both position types: the crate's answers are the same, or this stops.
fn record<T: Element>(case: &Case, adjacent: bool) -> String {
    let (_, after) = rotate::<T, u32>(case, adjacent);
    let (_, wide) = rotate::<T, u64>(case, adjacent);
    let output = packed(&after);
    assert_eq!(output, packed(&wide));
    object(
        [
            ("function", string(if adjacent { "rope_nd" } else { "rope_m" })),
            ("pairing", string(if adjacent { "adjacent" } else { "half" })),
            ("dtype", string(T::NAME)),
            ("positionTypes", list(["u32", "u64"])),
            ("output", output),
        ],
        2,
    )
}

fn case_file(case: &Case, every_type: bool) {
    let tokens: usize = case.grid.iter().product();
    let layout = case.layout.unwrap_or(Layout::packed(case.heads, tokens, case.head_dim));
    let axes = case.grid.len();
    let sections = case.sections.clone().unwrap_or(vec![case.head_dim / 2 / axes; axes]);
    let positions = positions_of::<u32>(case);
    let columns = (0..axes).map(|axis| list(positions.get().iter().skip(axis).step_by(axes)));
    let mut rotated = Vec::new();
    for adjacent in [true, false] {
        rotated.push(record::<f32>(case, adjacent));
        if every_type {
            rotated.push(record::<f16>(case, adjacent));
            rotated.push(record::<f64>(case, adjacent));
        }
    }
    let request = object(
        [
            ("headDim", case.head_dim.to_string()),
            ("rotaryDim", case.head_dim.to_string()),
            ("base", format!("{BASE:?}")),
            ("parameters", format!("{{ \"ropeType\": \"nd\", \"sections\": {} }}", list(&sections))),
        ],
        1,
    );
    let mut entries = vec![
        ("source", ndrope_source()),
        ("kind", string("rotation")),
        ("name", string(case.name)),
        ("request", request),
        ("sectionsGiven", case.sections.is_some().to_string()),
        ("exponentDenominator", sections.iter().max().expect("there is an axis").to_string()),
        ("grid", list(&case.grid)),
        ("positionBuilder", string(match case.positions {
            Positions::Grid => "pos_nd",
            Positions::Vision => "pos_2d_qwen2vl_vit",
            Positions::Chosen { .. } => "given",
        })),
        ("positions", rows(columns, 1)),
        ("shape", list([case.heads, tokens, case.head_dim])),
        ("strides", list([layout.head, layout.token, 1])),
        ("offset", layout.offset.to_string()),
        ("input", packed(&rotate::<f32, u32>(case, true).0)),
        ("rotated", rows(rotated, 1)),
    ];
    if let Some(note) = case.note {
        entries.insert(3, ("note", string(note)));
    }
    write("ndrope", case.name, &object(entries, 0));
}

fn tables() {
    let entry = |grid: &[usize], sections: Option<Vec<usize>>, head_dim: usize| {
        let shape = [1, grid.iter().product(), head_dim];
        let axes = grid.len();
        let used = sections.clone().unwrap_or(vec![head_dim / 2 / axes; axes]);
        let columns = *used.iter().max().expect("there is an axis");
        let [sin16, cos16] = sin_cos_nd::<f16>(&shape, grid, sections.clone(), f16::from_f32(BASE));
        let [sin32, cos32] = sin_cos_nd::<f32>(&shape, grid, sections.clone(), BASE);
        let [sin64, cos64] = sin_cos_nd::<f64>(&shape, grid, sections, f64::from(BASE));
        object(
            [
                ("headDim", head_dim.to_string()),
                ("base", format!("{BASE:?}")),
                ("sections", list(&used)),
                ("grid", list(grid)),
                ("shape", list([sin32.get().len() / columns, columns])),
                ("float16", format!("{{ \"cos\": {}, \"sin\": {} }}", packed(cos16.get()), packed(sin16.get()))),
                ("float32", format!("{{ \"cos\": {}, \"sin\": {} }}", packed(cos32.get()), packed(sin32.get()))),
                ("float64", format!("{{ \"cos\": {}, \"sin\": {} }}", packed(cos64.get()), packed(sin64.get()))),
            ],
            2,
        )
    };
    let tables = rows(
        [
            entry(&[2], None, 4),
            entry(&[40], None, 16),
            entry(&[4, 6], None, 80),
            entry(&[2, 3, 4], None, 12),
            entry(&[8, 2, 4], Some(vec![2, 2, 4]), 16),
        ],
        1,
    );
    let text = object(
        [
            ("source", ndrope_source()),
            ("kind", string("tables")),
            ("name", string("sin-cos-nd")),
            ("note", string("sin_cos_nd; one table serves all axes, so it has the largest section's columns. float16 is computed in float16, step by step.")),
            ("tables", tables),
        ],
        0,
    );
    write("ndrope", "sin-cos-nd", &text);
}

fn positions() {
    let grid = |grid: &[usize]| {
        let (narrow, wide) = (pos_nd::<u32>(grid.to_vec()), pos_nd::<u64>(grid.to_vec()));
        assert!(narrow.get().iter().map(|&p| u64::from(p)).eq(wide.get().iter().copied()));
        let columns = (0..grid.len()).map(|axis| list(narrow.get().iter().skip(axis).step_by(grid.len())));
        object([("function", string("pos_nd")), ("grid", list(grid)), ("positions", rows(columns, 3))], 2)
    };
    let vision = |height: usize, width: usize, patch: usize| {
        let (narrow, wide) = (pos_2d_qwen2vl_vit::<u32>([height, width], patch), pos_2d_qwen2vl_vit::<u64>([height, width], patch));
        assert!(narrow.get().iter().map(|&p| u64::from(p)).eq(wide.get().iter().copied()));
        let columns = (0..2).map(|axis| list(narrow.get().iter().skip(axis).step_by(2)));
        object(
            [
                ("function", string("pos_2d_qwen2vl_vit")),
                ("pixels", list([height, width])),
                ("patchSize", patch.to_string()),
                ("grid", list([height / patch, width / patch])),
                ("mergeSize", "2".to_owned()),
                ("positions", rows(columns, 3)),
            ],
            2,
        )
    };
    let cases = rows(
        [
            grid(&[1]),
            grid(&[7]),
            grid(&[3, 5]),
            grid(&[2, 3, 4]),
            grid(&[2, 2, 3, 4]),
            vision(56, 56, 14),
            vision(84, 140, 14),
            vision(336, 476, 14),
        ],
        1,
    );
    let text = object(
        [("source", ndrope_source()), ("kind", string("positions")), ("name", string("positions")), ("cases", cases)],
        0,
    );
    write("ndrope", "positions", &text);
}

fn main() {
    let case = Case {
        name: "",
        heads: 2,
        head_dim: 16,
        grid: vec![4],
        sections: None,
        positions: Positions::Grid,
        layout: None,
        note: None,
    };
    case_file(&Case { name: "text", grid: vec![5], ..case.clone() }, true);
    case_file(
        &Case {
            name: "text-chosen-positions",
            heads: 1,
            head_dim: 128,
            grid: vec![6],
            positions: Positions::Chosen { rows: vec![0, 1, 127, 257, 4096, 32767], table: 32768 },
            note: Some("positions given by hand, with the table of sin_cos_nd for 32768 rows"),
            ..case.clone()
        },
        true,
    );
    case_file(
        &Case { name: "qwen2vl-vision", heads: 1, head_dim: 80, grid: vec![4, 6], positions: Positions::Vision, ..case.clone() },
        false,
    );
    case_file(&Case { name: "image", grid: vec![3, 5], head_dim: 8, ..case.clone() }, false);
    case_file(&Case { name: "video", grid: vec![2, 3, 4], head_dim: 12, ..case.clone() }, true);
    case_file(&Case { name: "video-sections", grid: vec![2, 3, 4], sections: Some(vec![2, 2, 4]), ..case.clone() }, true);
    case_file(
        &Case { name: "video-sections-with-empty", grid: vec![2, 3, 4], sections: Some(vec![3, 0, 5]), ..case.clone() },
        false,
    );
    case_file(&Case { name: "four-axes", grid: vec![2, 2, 3, 2], ..case.clone() }, false);
    // [tokens, heads, headDim] in memory, as most engines keep it.
    let tokens_first = Layout { head: 16, token: 32, offset: 0, length: 4 * 32 };
    case_file(&Case { name: "tokens-first", layout: Some(tokens_first), ..case.clone() }, true);
    // Three elements before the tensor, five between tokens, seven more between heads: none of them may change.
    let gaps = Layout { head: 4 * 21 + 7, token: 21, offset: 3, length: 3 + 2 * (4 * 21 + 7) };
    case_file(&Case { name: "gaps-and-offset", layout: Some(gaps), ..case.clone() }, true);
    tables();
    positions();
}
