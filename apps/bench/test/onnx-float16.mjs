// Prints, for each kernel and pairing, how far float16 rotations of onnxruntime and of core/math are from each other.

Reflect.deleteProperty(globalThis, "Float16Array");
const { InferenceSession, Tensor } = (await import("onnxruntime-node")).default;
const { fromFloat16, rotate, toFloat16 } = await import("@ropewalk/core/math");
const { writeModel } = await import("../dist/onnx-model.js");

const rows = 64;
const headDim = 64;
const heads = 3;
const positions = [0, 1, 63, 7, 40];
const bits = (length, make) => Uint16Array.from({ length }, (_, i) => toFloat16(make(i)));
const angle = (i) => Math.floor(i / (headDim / 2)) * 10000 ** (-(i % (headDim / 2)) / (headDim / 2));
const cos = bits((rows * headDim) / 2, (i) => Math.cos(angle(i)));
const sin = bits((rows * headDim) / 2, (i) => Math.sin(angle(i)));
const x = bits(positions.length * heads * headDim, (i) => Math.sin(i * 12.9898 + 1) * 3);
const shape = [1, positions.length, heads * headDim];

const results = [];
for (const domain of ["com.microsoft", "ai.onnx"]) {
  for (const pairing of ["half", "adjacent"]) {
    const standard = domain === "ai.onnx";
    const table = (name) => ({ name, type: "float16", shape: [rows, headDim / 2] });
    const model = writeModel({
      opsets: standard ? { "": 23 } : { "": 17, [domain]: 1 },
      nodes: [
        {
          op: "RotaryEmbedding",
          domain: standard ? "" : domain,
          inputs: standard ? ["x", "cos", "sin", "positions"] : ["x", "positions", "cos", "sin"],
          outputs: ["y"],
          attributes: { interleaved: pairing === "adjacent" ? 1 : 0, num_heads: heads },
        },
      ],
      inputs: [
        { name: "x", type: "float16", shape },
        { name: "positions", type: "int64", shape: [1, positions.length] },
        table("cos"),
        table("sin"),
      ],
      outputs: [{ name: "y", type: "float16", shape }],
    });
    const session = await InferenceSession.create(model);
    const { y } = await session.run({
      x: new Tensor("float16", x, shape),
      positions: new Tensor("int64", BigInt64Array.from(positions, BigInt), [1, positions.length]),
      cos: new Tensor("float16", cos, [rows, headDim / 2]),
      sin: new Tensor("float16", sin, [rows, headDim / 2]),
    });
    const ours = x.slice();
    rotate(
      { data: ours, dtype: "float16", shape: [positions.length, heads, headDim] },
      { cos: { data: cos, dtype: "float16" }, sin: { data: sin, dtype: "float16" }, pairing, positions },
    );

    let worst = 0;
    let changed = 0;
    for (let head = 0; head < positions.length * heads; head++) {
      for (let i = 0; i < headDim / 2; i++) {
        const first = head * headDim + (pairing === "half" ? i : 2 * i);
        const second = first + (pairing === "half" ? headDim / 2 : 1);
        const row = (positions[Math.floor(head / heads)] * headDim) / 2 + i;
        for (const [own, other] of [
          [first, second],
          [second, first],
        ]) {
          const terms =
            Math.abs(fromFloat16(x[own]) * fromFloat16(cos[row])) +
            Math.abs(fromFloat16(x[other]) * fromFloat16(sin[row]));
          const difference = Math.abs(fromFloat16(ours[own]) - fromFloat16(y.data[own]));
          worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference / terms);
          if (ours[own] !== x[own]) changed++;
        }
      }
    }
    results.push({ name: `${domain} ${pairing}`, values: x.length, worst: Math.min(worst, Number.MAX_VALUE), changed });
    await session.release();
  }
}
console.log(JSON.stringify(results));
