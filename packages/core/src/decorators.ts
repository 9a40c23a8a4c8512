/**
 * The helpers that `tsc` calls for a decorated class, for packages that set `noEmitHelpers` and import them by these
 * names.
 *
 * TypeScript's own two helpers handle every kind of decorator and add 0.4 kB to each provider. These handle classes
 * only, and all providers share them. The compiler fixes names and arguments. A package need not use them: without
 * `noEmitHelpers` `tsc` emits its own.
 */

/* oxlint-disable no-underscore-dangle -- the compiler's names */

interface ClassContext {
  readonly kind: "class";
  readonly name: string;
  readonly metadata: object | undefined;
}
type Decorator = (value: unknown, context: ClassContext & { addInitializer(initializer: () => void): void }) => unknown;

/**
 * Applies decorators to the class in `descriptor.value`, the last decorator first. A value that a decorator returns
 * replaces the class.
 *
 * @param initializers receives the functions that decorators pass to `addInitializer`, in order.
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
