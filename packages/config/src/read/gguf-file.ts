/** The header of a GGUF file: its key/values by their names within the architecture, and the tensors of its rope. */

import { RopeError } from "@ropewalk/core";
import { show } from "@ropewalk/core/backend";
import type { Fact } from "../facts/fact.ts";
import { architectureOf } from "../facts/gguf-architectures.ts";
import type { GgufArchitecture } from "../facts/gguf-architectures.ts";
import { Fields } from "../locate/fields.ts";
import { isObject, isText, shown } from "../locate/found.ts";
import type { GgufOptions, GgufRopeTensors } from "../options.ts";
import { Report } from "../report.ts";
import { largestHead, mostLayers } from "../limits.ts";

export class GgufFile {
  /** `general.architecture`. */
  readonly name: string;
  /** Facts of llama.cpp's code that the file does not state. */
  readonly architecture: GgufArchitecture;
  readonly options: GgufOptions;
  readonly report: Report = new Report();
  readonly #fields: Fields;

  /** @throws RopeError `ROPE_CONFIG` if `metadata` is not an object. */
  constructor(metadata: unknown, options: GgufOptions) {
    if (!isObject(metadata)) {
      throw new RopeError("ROPE_CONFIG", {
        what: "GGUF metadata are not an object",
        expected: "the key/values of a GGUF file's header",
        received: shown(metadata),
      });
    }
    const { report } = this;
    const key = "general.architecture";
    const name = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (!isText(name)) {
      report.issue(key, "the name of an architecture", shown(name), "Is this the header of a language model?");
      report.throwIfBroken();
    }
    this.name = name as string;
    this.options = options;
    const mine = Object.keys(metadata).filter((each) => each.startsWith(`${this.name}.`));
    this.#fields = new Fields(
      [{ path: "", level: 0, record: Object.fromEntries(mine.map((each) => [each, plain(metadata[each])])) }],
      report,
    );
    const architecture = architectureOf(this.name);
    if (architecture === undefined && options.pairing === undefined) {
      report.issue(
        key,
        "an architecture whose pairing is known",
        show(name),
        'Say in the options which elements form a pair: pairing "adjacent" (NORM) or "half" (NEOX).',
      );
    }
    this.architecture = architecture ?? { pairing: "half", factors: "any" };
  }

  /** The full key of a name within the architecture: `rope.freq_base` → `llama.rope.freq_base`. */
  key(name: string): string {
    return `${this.name}.${name}`;
  }

  value(name: string): unknown {
    return this.#fields.first(this.key(name))?.value;
  }

  list(name: string): readonly unknown[] | undefined {
    return this.#fields.list(this.key(name))?.value;
  }

  number(name: string): Fact<number> | undefined {
    const found = this.#fields.number(this.key(name));
    return found && { value: found.value, rule: found.path };
  }

  scale(name: string): Fact<number> | undefined {
    const found = this.#fields.scale(this.key(name));
    return found && { value: found.value, rule: found.path };
  }

  size(name: string): Fact<number> | undefined {
    const found = this.#fields.size(this.key(name));
    return found && { value: found.value, rule: found.path };
  }

  flag(name: string): boolean | undefined {
    return this.#fields.flag(this.key(name))?.value;
  }

  /** A tensor as a list of numbers, one for each pair; `undefined` if the graph does not use it. */
  tensor(name: keyof GgufRopeTensors, pairs: number): number[] | undefined {
    const values = this.options.tensors?.[name];
    const { factors } = this.architecture;
    if (values === undefined || factors === "unused") return undefined;
    if (factors !== "any" && factors !== (name === "rope_freqs.weight" ? "one list" : "two lists")) {
      const reads = factors === undefined ? "no factors" : `${factors} of factors`;
      this.report.issue(name, `${reads}: llama.cpp's loader of ${this.name} reads no other`, "a tensor");
      return undefined;
    }
    const length = Array.isArray(values) || ArrayBuffer.isView(values) ? values.length : 0;
    const list = length >= pairs && length <= largestHead ? Array.from(values).slice(0, pairs) : [];
    const isFactor = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value) && value > 0;
    if (list.length === pairs && pairs > 0 && list.every(isFactor)) return list;
    this.report.issue(name, `${pairs} numbers > 0, one for each pair`, `${length} values`);
    return undefined;
  }

  /** Rope keys that were never read: a note; a list would give some layer another rope, so it is an issue. */
  noteUnread(): void {
    for (const { key, path, value } of this.#fields.unread()) {
      if (!/rope/.test(key.slice(this.name.length))) continue;
      const what = `llama.cpp's loader of ${this.name} does not read`;
      if (Array.isArray(value)) {
        const remedy = "Leave it out to read the file as llama.cpp does.";
        this.report.issue(path, `nothing: ${what} this list`, shown(value), remedy);
      } else this.report.note("unused", path, `${what} ${key} = ${shown(value)}.`);
    }
  }
}

/** 64-bit integers of a header are bigints. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : Number.NaN;
  return Array.isArray(value) && value.length <= mostLayers
    ? value.map((item: unknown) => (typeof item === "bigint" ? Number(item) : item))
    : value;
}
