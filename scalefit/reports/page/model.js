// The answers: a posterior of the loss for a state, its plan, its frontier, and what follows from them.

import { LAWS, UNIMODAL, gridLaw } from "./laws.js";
import { Discrepancy } from "./discrepancy.js";
import { Cost } from "./lines.js";
import { LossPosterior } from "./optimum.js";
import { interval, mean, sorted } from "./quantiles.js";
import { firstCrossing } from "./search.js";

const { exp, log, max, min } = Math;
const STEP = 0.6; // of ln budget, between rows of the table of optima
const BELOW = 3.6; // e-folds of the table below the smallest budget
const NEAR = 0.01; // of the budget, which sizes that are as good cost at most
const SEARCH = log(1000);
const MOST_KEPT = 60;

export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float64Array(bytes.buffer);
}

export class Model {
  constructor(payload) {
    this.payload = payload;
    this.kept = new Map();
    const [low, high] = payload.budgets;
    const count = Math.ceil((log(high) - log(low) + BELOW) / STEP) + 1;
    this.logBudgets = Float64Array.from({ length: count }, (_, k) => log(high) - STEP * (count - 1 - k));
  }

  /** Draws of one posterior, unpacked once. */
  draws(discrepancy) {
    const key = discrepancy ? "joint" : "law";
    return this.cached(`draws ${key}`, () => {
      const given = this.payload.draws[key];
      const theta = given.theta && Object.fromEntries(Object.entries(given.theta).map(([name, text]) => [name, unpack(text)]));
      const grid = given.grid && { ...given.grid, values: unpack(given.grid.values) };
      const paths = given.paths && new Discrepancy({
        ...given.paths, pull: unpack(given.paths.pull), line: unpack(given.paths.line), plane: unpack(given.paths.plane),
      });
      const of = given.cost?.draws && unpack(given.cost.draws);
      const each = of && Array.from({ length: given.count }, (_, i) => of.subarray(4 * i, 4 * i + 4));
      const cost = new Cost(given.cost && { mean: given.cost.mean, draws: each });
      return { theta, grid, paths, cost, floor: unpack(given.floor), count: given.count };
    });
  }

  /** What was made under a key, or is made now; of many the longest unused are let go, but for draws. */
  cached(key, make) {
    const found = this.kept.has(key) ? this.kept.get(key) : make();
    this.kept.delete(key);
    this.kept.set(key, found);
    if (this.kept.size > MOST_KEPT) {
      const old = [...this.kept.keys()].filter((each) => !each.startsWith("draws"));
      for (const each of old.slice(0, MOST_KEPT / 2)) this.kept.delete(each);
    }
    return found;
  }

  /** What of a state the posterior of the loss and its frontier depend on. */
  key(state) {
    return JSON.stringify([state.discrepancy, state.inputs, state.unique, state.served, state.servedPrice]);
  }

  posterior(state, discrepancy = state.discrepancy) {
    const key = JSON.stringify([discrepancy, state.inputs, state.unique]);
    return this.cached(`posterior ${key}`, () => {
      const { theta, grid, paths, cost, floor, count } = this.draws(discrepancy);
      const named = this.payload.law.columns.includes("unique_tokens");
      const x = { ...state.inputs };
      if (named) x.unique_tokens = state.unique ?? Infinity;
      const law = grid ? gridLaw(grid) : LAWS[this.payload.law.name](theta, x);
      return new LossPosterior(law, floor, count, paths ?? null, named ? null : state.unique, !grid && UNIMODAL.has(this.payload.law.name), cost);
    });
  }

  /** The same of a few of the draws, for curves that need no more. */
  thinned(state, most) {
    const whole = this.posterior(state);
    const some = Object.create(whole);
    const step = max(1, Math.ceil(whole.count / most));
    some.draws = whole.draws.filter((i) => i % step === 0);
    return some;
  }

  /** Tokens of inference at the price of training's FLOP. */
  served(state) {
    return (state.served ?? 0) * (state.servedPrice ?? 1);
  }

  cost(state) {
    return this.posterior(state).cost;
  }

  /** The lines of a budget, which keep what was found along them. */
  lines(state, budget = state.budget, discrepancy = state.discrepancy) {
    return this.cached(`lines ${budget} ${discrepancy} ${this.key(state)}`, () => this.posterior(state, discrepancy).cost.lines(budget, this.served(state)));
  }

  optima(state, budget = state.budget, discrepancy = state.discrepancy) {
    return this.cached(`optima ${budget} ${discrepancy} ${this.key(state)}`, () =>
      this.posterior(state, discrepancy).optima(this.lines(state, budget, discrepancy)));
  }

  /** The table, filled. */
  wholeTable(state, discrepancy = state.discrepancy) {
    this.fill(state, Infinity, discrepancy);
    return this.table(state, discrepancy);
  }

  /** Optima of every draw at budgets far apart, (draw, budget); `fill` computes it row by row. */
  table(state, discrepancy = state.discrepancy) {
    return this.cached(`table ${discrepancy} ${this.key(state)}`, () => {
      const [rows, count] = [this.logBudgets.length, this.posterior(state, discrepancy).count];
      const make = () => new Float64Array(rows * count);
      // Every second row first, from the last: those that the frontier is drawn of.
      const all = Array.from({ length: rows }, (_, k) => rows - 1 - k);
      const drawn = all.filter((_, k) => k % 2 === 0);
      const order = [...drawn, ...all.filter((_, k) => k % 2)];
      return { logN: make(), logD: make(), loss: make(), next: 0, rows, count, order, drawn };
    });
  }

  /** Fill the table for at most some milliseconds. True where it is whole. */
  fill(state, milliseconds = Infinity, discrepancy = state.discrepancy, until = this.logBudgets.length) {
    const table = this.table(state, discrepancy);
    const end = performance.now() + milliseconds;
    while (table.next < until && performance.now() < end) {
      const row = table.order[table.next++];
      const posterior = this.posterior(state, discrepancy);
      const found = posterior.optima(posterior.cost.lines(exp(this.logBudgets[row]), this.served(state)));
      for (let i = 0; i < table.count; i++)
        for (const name of ["logN", "logD", "loss"]) table[name][i * table.rows + row] = found[name][i];
    }
    return table.next === table.rows;
  }

  /** ln of the least budget of each draw that reaches a loss, infinite where none does; from the table, then refined. */
  leastBudgets(state, levels) {
    const table = this.wholeTable(state);
    const posterior = this.posterior(state);
    const refine = posterior.discrepancy && !state.served && !isFinite(posterior.logWall);
    return Float64Array.from({ length: table.count }, (_, i) => {
      const level = levels[i] ?? levels[0];
      const first = firstCrossing(this.logBudgets, table.loss, i * table.rows, table.rows, level);
      return refine && isFinite(first) && first > this.logBudgets[0] ? this.refined(i, first, level, posterior, table) : first;
    });
  }

  /** Illinois' method from the table's cubic, which is not exact where an optimum jumps; as planning/_envelope.py. */
  refined(i, first, level, posterior, table) {
    const last = min(table.rows - 1, max(1, this.logBudgets.findIndex((value) => value >= first)));
    let [low, high] = [this.logBudgets[last - 1], this.logBudgets[last]];
    let [above, below] = [table.loss[i * table.rows + last - 1] - level, table.loss[i * table.rows + last] - level];
    let [found, side, guess] = [first, 0, table.logN[i * table.rows + last]];
    for (let k = 0; k < 8; k++) {
      const before = found;
      const at = posterior.leastAt(i, found, guess);
      guess = at.law;
      if (at.loss > level) {
        [low, above] = [found, at.loss - level];
        if (side > 0) below *= 0.5;
        side = 1;
      } else {
        [high, below] = [found, at.loss - level];
        if (side < 0) above *= 0.5;
        side = -1;
      }
      const share = above / max(above - below, 1e-300);
      found = low + min(1, max(0, share)) * (high - low);
      if (Math.abs(found - before) < 1e-5) break;
    }
    return found;
  }

  /** Share of its budget that each draw's optimum would save, for losses (draw,) reached with a budget, ln of one or of each. */
  wasted(state, losses, logBudget = log(state.budget)) {
    return this.leastBudgets(state, losses).map((least, i) => {
      const spent = logBudget[i] ?? logBudget;
      return max(0, -Math.expm1(min(least, spent) - spent));
    });
  }

  /** ln of what each draw pays for a run and the state's inference. */
  logSpent(state, params, tokens) {
    return this.cost(state).logSpent(params, tokens, this.served(state));
  }

  /** ln N that the state's shape allows at its budget, free where it fixes nothing. */
  decided(state) {
    const lines = this.lines(state);
    const line = lines.mean;
    if (state.shape === "params") return min(log(state.params), line.high);
    if (state.shape === "tokens") return line.sizeFor(log(state.tokens));
    if (state.shape === "ratio") return line.size(log(state.ratio));
    const { lawSizes } = this.optima(state);
    const [low, high] = [lawSizes.reduce((a, b) => min(a, b)), lawSizes.reduce((a, b) => max(a, b))];
    return this.posterior(state).decide(lines, max(0, low - 4), min(line.high, high + 4));
  }

  /** What to train with a budget, and what to expect. */
  plan(state) {
    return this.cached(`plan ${state.budget} ${state.shape} ${state.params} ${state.tokens} ${state.ratio} ${this.key(state)}`, () => {
      const [posterior, lines] = [this.posterior(state), this.lines(state)];
      const best = this.optima(state);
      const logN = this.decided(state);
      const logD = min(lines.mean.tokens(logN), posterior.logWall);
      const loss = posterior.along(lines, [logN]);
      const [params, tokens] = [exp(logN), exp(logD)];
      return {
        budget: state.budget, params, tokens, ratio: tokens / params, flops: posterior.cost.training(params, tokens), loss, expected: mean(loss),
        logN, logD, lost: 1 - mean(best.converged), optimum: { N: best.logN.map(exp), D: best.logD.map(exp), loss: best.loss },
        regret: mean(loss.map((value, i) => max(0, value - best.loss[i]))),
      };
    });
  }

  /** Waste of the plan, and the sizes that cost at most one percent more; needs the whole table. */
  risk(state) {
    const plan = this.plan(state);
    return this.cached(`risk ${plan.logN} ${state.budget} ${state.shape} ${this.key(state)}`, () => {
      const wasted = this.wasted(state, plan.loss);
      return { wasted, near: state.shape === "free" ? this.near(state, plan, mean(wasted) + NEAR) : null };
    });
  }

  near(state, plan, most) {
    const [lines, posterior, table] = [this.lines(state), this.posterior(state), this.wholeTable(state)];
    const logBudget = log(state.budget);
    const excess = (sizes) => {
      const losses = posterior.along(lines, sizes);
      return sizes.map((_, p) => {
        let total = 0;
        for (let i = 0; i < table.count; i++) {
          const least = firstCrossing(this.logBudgets, table.loss, i * table.rows, table.rows, losses[i * sizes.length + p]);
          total += max(0, -Math.expm1(min(least, logBudget) - logBudget));
        }
        return total / table.count - most;
      });
    };
    const ends = [max(0, plan.logN - SEARCH), min(lines.mean.high, plan.logN + SEARCH)];
    return ends.map((end) => {
      let [inner, outer] = [plan.logN, end];
      let shares = Array.from({ length: 16 }, (_, k) => (k / 15) ** 2);
      let found = plan.logN;
      for (let round = 0; round < 2; round++) {
        const sizes = shares.map((share) => inner + share * (outer - inner));
        const over = excess(sizes);
        let last = over.findIndex((value, k) => k > 0 && value > 0);
        if (last < 0) last = sizes.length - 1;
        const share = min(1, max(0, -over[last - 1] / max(over[last] - over[last - 1], 1e-300)));
        [inner, outer] = [sizes[last - 1], sizes[last]];
        found = inner + share * (outer - inner);
        shares = Array.from({ length: 16 }, (_, k) => k / 15);
      }
      return exp(found);
    });
  }

  /** The intervals of a table's columns at each of its budgets inside the page's range. */
  frontier(state, prob, discrepancy = state.discrepancy) {
    return this.cached(`frontier ${prob} ${discrepancy} ${this.key(state)}`, () => {
      const table = this.table(state, discrepancy);
      this.fill(state, Infinity, discrepancy, table.drawn.length);
      const least = log(this.payload.budgets[0]) - 2 * STEP;
      const rows = table.drawn.filter((row) => this.logBudgets[row] >= least).reverse();
      const column = (name, row) => Float64Array.from({ length: table.count }, (_, i) => table[name][i * table.rows + row]);
      const ends = (values) => interval(values, prob);
      const found = { budgets: rows.map((row) => exp(this.logBudgets[row])), params: [], tokens: [], ratio: [], loss: [] };
      for (const row of rows) {
        const [n, d] = [column("logN", row), column("logD", row)];
        found.params.push(ends(n).map(exp));
        found.tokens.push(ends(d).map(exp));
        found.ratio.push(ends(d.map((value, i) => value - n[i])).map(exp));
        found.loss.push(ends(column("loss", row)));
      }
      return found;
    });
  }

  /** Median, lower and upper loss at places [ln N, ln D]. */
  bands(state, places, prob, posterior = this.posterior(state)) {
    const losses = posterior.losses(places);
    const count = losses.length / places.length;
    return places.map((_, p) => interval(Float64Array.from({ length: count }, (__, i) => losses[i * places.length + p]), prob));
  }

  bandsAlong(state, budget, sizes, prob) {
    return this.cached(`bands ${budget} ${sizes.join()} ${prob} ${this.key(state)}`, () => {
      const posterior = this.posterior(state);
      const losses = posterior.along(this.lines(state, budget), sizes);
      return sizes.map((_, p) =>
        interval(Float64Array.from({ length: posterior.count }, (__, i) => losses[i * sizes.length + p]), prob));
    });
  }

  /** What of the loss at the plan is the floor, and what infinite parameters, or infinite tokens, would take away. */
  shares(state, prob) {
    const [posterior, plan] = [this.posterior(state), this.plan(state)];
    if (!posterior.floor.some((value) => value > 0)) return null;
    const [floor, capacity, data] = [[], [], []];
    const far = 120; // ln of infinitely many
    for (let i = 0; i < posterior.count; i++) {
      const ofLaw = posterior.law(i, plan.logN, plan.logD);
      const scale = (plan.loss[i] - posterior.floor[i]) / (ofLaw - posterior.floor[i]);
      floor.push(posterior.floor[i]);
      capacity.push((ofLaw - posterior.law(i, far, plan.logD)) * scale);
      data.push((ofLaw - posterior.law(i, plan.logN, far)) * scale);
    }
    if ([...capacity, ...data].some((value) => !isFinite(value))) return null;
    return { floor: interval(floor, prob), capacity: interval(capacity, prob), data: interval(data, prob) };
  }

  /** Each draw's own optimum at a budget, ln of one or of each, between rows of the table. */
  optimumNear(state, logBudget) {
    const table = this.wholeTable(state);
    const of = (name) => Float64Array.from({ length: table.count }, (_, i) => {
      const at = ((logBudget[i] ?? logBudget) - this.logBudgets[0]) / STEP;
      const cell = max(1, min(table.rows - 3, Math.floor(at)));
      const u = at - cell;
      const weights = [(-u * (u - 1) * (u - 2)) / 6, ((u + 1) * (u - 1) * (u - 2)) / 2, (-(u + 1) * u * (u - 2)) / 2, ((u + 1) * u * (u - 1)) / 6];
      const start = i * table.rows + cell - 1;
      return weights.reduce((total, weight, k) => total + weight * table[name][start + k], 0);
    });
    return { logN: of("logN"), logD: of("logD"), loss: of("loss") };
  }
}

export function cvar(values, level = 0.95) {
  const ascending = sorted(values);
  const worst = max(1, Math.round((1 - level) * ascending.length));
  return mean(ascending.slice(-worst));
}
