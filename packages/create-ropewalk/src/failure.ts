/** Something that the user can correct: one sentence, no stack. */
export class CreateFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CreateFailure";
  }
}
