import type { Lane } from '../model/lane';

/** A part of the page: one element, brought up to date with the lane that is shown. */
export interface View {
  readonly element: HTMLElement;
  update(lane: Lane): void;
}
