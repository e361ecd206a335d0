// What a run costs, ln C = k + p ln N + q ln D of all draws or of each its own, and the lines of its budgets: the
// counterpart of scalefit/costs. A token of inference costs a third of what the first token of training does.

const { exp, log, log1p, expm1, max, min, abs } = Math;
export const LOG6 = log(6);
const FORWARD = 1 / 3;
const NO_ROOM = -50; // ln D where a budget leaves nothing for training
const STEPS = 30;

const logAddExp = (a, b) => max(a, b) + (a === b ? log(2) : log1p(exp(-abs(a - b))));

/** The line of one budget, which pays for training and for `served` tokens of inference; `s` is ln C of one token of D_0. */
export class Line {
  constructor(logBudget, served, [k, p, q, s]) {
    Object.assign(this, { logBudget, k, p, q, logServed: served ? s + log(FORWARD * served) : -Infinity });
    this.straight = !served;
    this.slope = (p - q) / (p + q); // of ln 6 N D in ln D/N, of a straight line
    this.logC = 2 * this.place(0) + LOG6; // ln 6 N D where N = D
    this.high = this.sizeFor(0);
  }

  place(ratio) {
    return (this.logBudget - this.k - this.q * ratio) / (this.p + this.q);
  }

  /** ln D that is left for exp(logN) parameters. */
  tokens(logN) {
    if (this.straight) return (this.logBudget - this.k - this.p * logN) / this.q;
    const left = -expm1(this.logServed + this.p * logN - this.logBudget);
    return left > 0 ? (this.logBudget + log(left) - this.k - this.p * logN) / this.q : NO_ROOM;
  }

  /** ln N at exp(ratio) tokens per parameter: Newton's method on a convex function, from above. */
  size(ratio) {
    if (this.straight) return this.place(ratio);
    const { logBudget, logServed, k, p, q } = this;
    let found = min(this.place(ratio), (logBudget - logServed) / p);
    for (let step = 0; step < STEPS; step++) {
      const [training, serving] = [k + q * ratio + (p + q) * found, logServed + p * found];
      const total = logAddExp(training, serving);
      const change = (total - logBudget) / (p + q * exp(training - total));
      found -= change;
      if (change < 1e-13) break;
    }
    return found;
  }

  /** ln N that is left for exp(logD) tokens. */
  sizeFor(logD) {
    return (this.logBudget - logAddExp(this.k + this.q * logD, this.logServed)) / this.p;
  }
}

/** Lines of one budget: `of(i)` of each draw; `mean` at the means of the cost's numbers. */
class Lines {
  constructor(cost, budget, served) {
    const logBudget = log(budget);
    Object.assign(this, { shared: !cost.draws, mean: new Line(logBudget, served, cost.mean) });
    this.each = cost.draws?.map((one) => new Line(logBudget, served, one));
  }

  of(i) {
    return this.each ? this.each[i] : this.mean;
  }
}

/** `mean` is [k, p, q, s]; `draws` are such of each draw where they are uncertain. */
export class Cost {
  constructor({ mean, draws } = { mean: [LOG6, 1, 1, LOG6] }) {
    Object.assign(this, { mean, draws });
  }

  lines(budget, served = 0) {
    return new Lines(this, budget, served);
  }

  /** The line of draw i for a budget of its own, which pays for training alone. */
  ownLine(i, logBudget) {
    return new Line(logBudget, 0, this.draws ? this.draws[i] : this.mean);
  }

  /** ln of what a run and its inference cost each draw; one number where all pay the same. */
  logSpent(params, tokens, served) {
    const [logN, logD] = [log(params), log(tokens)];
    const serving = served ? log(FORWARD * served) : -Infinity;
    const of = ([k, p, q, s]) => logAddExp(k + p * logN + q * logD, s + p * logN + serving);
    return this.draws ? Float64Array.from(this.draws, of) : of(this.mean);
  }

  /** What training costs on average. */
  training(params, tokens) {
    const [k, p, q] = this.mean;
    return exp(k + p * log(params) + q * log(tokens));
  }

  /** What some tokens of inference cost on average. */
  serving(params, served) {
    const [, p, , s] = this.mean;
    return FORWARD * served * exp(s + p * log(params));
  }
}
