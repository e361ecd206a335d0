// Every law's loss in nats per token, of draw i at ln N and ln D: the counterpart of scalefit/laws, a line a law.
// Each takes columns of parameters and the further inputs x, and returns a function of (i, ln N, ln D).

const { exp, log, expm1, log1p, max, min } = Math;

const logAddExp = (a, b) => max(a, b) + log1p(exp(-Math.abs(a - b)));

const twoTerms = ({ E, A, B, alpha, beta }) => (i, n, d) => E[i] + A[i] * exp(-alpha[i] * n) + B[i] * exp(-beta[i] * d);

export const LAWS = {
  chinchilla: (t) => twoTerms(t),
  "chinchilla-outer": ({ E, A, B, alpha, beta, q }) => (i, n, d) =>
    E[i] + exp(q[i] * logAddExp((log(A[i]) - alpha[i] * n) / q[i], (log(B[i]) - beta[i] * d) / q[i])),
  "over-training": ({ E, a, b, eta }) => (i, n, d) =>
    E[i] + (a[i] * exp(eta[i] * (d - n)) + b[i] * exp(-eta[i] * (d - n))) * exp(-eta[i] * (log(6) + n + d)),
  precision: (t, x) => {
    const loss = twoTerms(t);
    return (i, n, d) => loss(i, n + log(-expm1(-x.bits / t.g[i])), d);
  },
  "moe-granular": ({ c, a, g, b, alpha, beta, gamma }, x) => (i, n, d) =>
    c[i] + (g[i] * exp(-gamma[i] * log(x.granularity)) + a[i]) * exp(-alpha[i] * n) + b[i] * exp(-beta[i] * d),
  kaplan: ({ N_c, D_c, alpha_N, alpha_D }) => (i, n, d) =>
    exp(alpha_D[i] * log(exp((alpha_N[i] / alpha_D[i]) * (log(N_c[i]) - n)) + D_c[i] * exp(-d))),
  farseer: ({ s, q, S, B, b, Q, A, a, E }) => (i, n, d) =>
    exp(s[i] * exp(q[i] * n) + S[i]) + exp(B[i] * exp(b[i] * n) + Q[i] - exp(A[i] * exp(a[i] * n) + E[i]) * d),
  "data-constrained": (t, x) => {
    const loss = twoTerms(t);
    const effective = (count, unique, scale) =>
      unique + log(1 - scale * expm1(-max(expm1(count - unique), 0) / scale)); // of logarithms
    const enough = t.E.map((_, i) => log(t.alpha[i] * t.A[i]) - log(t.beta[i] * t.B[i]));
    return (i, n, d) => {
      const unique = min(log(x.unique_tokens), d);
      const most = min(n, (enough[i] + t.beta[i] * unique) / t.alpha[i]);
      return loss(i, effective(n, most, t.R_N[i]), effective(d, unique, t.R_D[i]));
    };
  },
  "kaplan-steps": ({ N_c, S_c, B_star, alpha_N, alpha_S, alpha_B }, x) => (i, n, d) => {
    const bySize = exp(alpha_N[i] * (log(N_c[i]) - n));
    const steps = S_c[i] * exp(-d);
    let found = log(bySize);
    for (let k = 0; k < 12; k++) {
      const critical = B_star[i] * exp(-found / alpha_B[i]);
      const bySteps = exp(alpha_S[i] * log(steps * (x.batch + critical)));
      const slope = (-(alpha_S[i] / alpha_B[i]) * bySteps * critical) / ((x.batch + critical) * (bySize + bySteps)) - 1;
      const step = (log(bySize + bySteps) - found) / slope;
      found -= step;
      if (Math.abs(step) < 1e-14) break;
    }
    return exp(found);
  },
};

/** Laws whose loss rises all the way from its optimum along a budget: what lies far from there need not be looked at. */
export const UNIMODAL = new Set(Object.keys(LAWS).filter((name) => name !== "farseer"));

/** A law without a line above: ln loss of every draw on a grid that Python computed, between points a cubic. */
export function gridLaw({ logN, logD, values }) {
  const [rows, columns] = [logN.length, logD.length];
  const [stepN, stepD] = [logN[1] - logN[0], logD[1] - logD[0]];
  const weights = (u) => [
    (-u * (u - 1) * (u - 2)) / 6, ((u + 1) * (u - 1) * (u - 2)) / 2, (-(u + 1) * u * (u - 2)) / 2, ((u + 1) * u * (u - 1)) / 6,
  ];
  const place = (at, first, step, count) => {
    const u = (at - first) / step;
    const cell = max(1, min(count - 3, Math.floor(u)));
    return [cell - 1, weights(u - cell)];
  };
  return (i, n, d) => {
    const [row, byN] = place(n, logN[0], stepN, rows);
    const [column, byD] = place(d, logD[0], stepD, columns);
    let total = 0;
    for (let r = 0; r < 4; r++)
      for (let c = 0; c < 4; c++) total += byN[r] * byD[c] * values[(i * rows + row + r) * columns + column + c];
    return exp(total);
  };
}
