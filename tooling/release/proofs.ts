/** What a rehearsal has shown, as a table. */

interface Row {
  readonly proof: string;
  readonly result: "passed" | "FAILED" | "left out";
  readonly detail: string;
  readonly seconds: number;
}

export class Proofs {
  readonly #rows: Row[] = [];
  readonly #say: (line: string) => void;

  /** @param say prints each result at once, since a rehearsal takes minutes. */
  constructor(say: (line: string) => void = console.log) {
    this.#say = say;
  }

  /** Runs one proof. A failure is kept as a row, and the rehearsal goes on. @returns whether it passed. */
  async prove(proof: string, show: () => Promise<string> | string): Promise<boolean> {
    const start = performance.now();
    // Proofs may run side by side; the table has them in the order in which they began.
    const place = this.#rows.push({ proof, result: "FAILED", detail: "did not end", seconds: 0 }) - 1;
    let row: Omit<Row, "seconds">;
    try {
      row = { proof, result: "passed", detail: await show() };
    } catch (error) {
      row = { proof, result: "FAILED", detail: (error as Error).message };
    }
    this.#rows[place] = { ...row, seconds: (performance.now() - start) / 1000 };
    this.#say(`${row.result}: ${proof}`);
    return row.result === "passed";
  }

  /** What could not be shown here, and why. */
  leaveOut(proof: string, reason: string): void {
    const row = { proof, result: "left out", detail: reason, seconds: 0 } as const;
    this.#rows.push(row);
    this.#say(`${row.result}: ${proof}`);
  }

  count(result: Row["result"]): number {
    return this.#rows.filter((row) => row.result === result).length;
  }

  /** All rows, and a last line with the counts. */
  table(): string {
    const width = Math.max(...this.#rows.map(({ proof }) => proof.length));
    const rows = this.#rows.map(({ proof, result, detail, seconds }) => {
      const [first = "", ...rest] = detail.split("\n");
      const head = `${result.padEnd(8)}  ${proof.padEnd(width)}  ${seconds.toFixed(1).padStart(5)} s  ${first}`;
      return [head, ...rest.map((line) => `${" ".repeat(10)}${line}`)].join("\n");
    });
    const counts = `${this.count("passed")} proofs passed, ${this.count("FAILED")} failed, ${this.count("left out")} left out`;
    return ["", ...rows, "", counts].join("\n");
  }
}
