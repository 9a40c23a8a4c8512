/**
 * What `tsc` calls where a class is decorated, for a package that sets `noEmitHelpers` and imports them by these names.
 *
 * TypeScript's own two helpers serve every kind of decorator and weigh 0.4 kB in each provider; these serve classes, once
 * for all of them. Names and arguments are the compiler's. Nobody has to use them: without `noEmitHelpers` `tsc` writes
 * its own.
 */

/* oxlint-disable no-underscore-dangle -- the compiler's names */

interface ClassContext {
  readonly kind: "class";
  readonly name: string;
  readonly metadata: object | undefined;
}
type Decorator = (value: unknown, context: ClassContext & { addInitializer(initializer: () => void): void }) => unknown;

/**
 * Applies decorators to the class in `descriptor.value`, the last one first; what one returns takes the class's place.
 *
 * @param initializers takes what the decorators pass to `addInitializer`, in order.
 */
export function __esDecorate(
  _constructor: null,
  descriptor: { value: unknown },
  decorators: readonly Decorator[],
  context: ClassContext,
  _fields: null,
  initializers: (() => void)[],
): void {
  const addInitializer = (initializer: () => void): void => {
    initializers.push(initializer);
  };
  for (const decorate of [...decorators].reverse()) {
    descriptor.value = decorate(descriptor.value, { ...context, addInitializer }) ?? descriptor.value;
  }
}

/** Runs initializers in order, with `value` as `this`. */
export function __runInitializers(value: unknown, initializers: readonly ((this: unknown) => void)[]): void {
  for (const initializer of initializers) initializer.call(value);
}
