// What tests ask of the report's page; run in it once it is open.

window.probe = {
  laws({ law, draws, states, budgets }) {
    const model = new scalefit.Model({ law, draws, budgets, runs: null });
    return states.map((state) => {
      const found = model.optima(state);
      const plan = model.plan(state);
      const arrays = ["logN", "logD", "loss", "converged"].map((name) => [name, [...found[name]]]);
      return { ...Object.fromEntries(arrays), plan: plan.logN, atPlan: [...plan.loss] };
    });
  },

  answers({ budgets, changes, level }) {
    const { model } = scalefit;
    const state = { ...model.payload.initial, ...changes };
    model.fill(state);
    const [plan, risk] = [model.plan(state), model.risk(state)];
    const optima = budgets.map((budget) => model.optima(state, budget));
    return {
      params: plan.params, loss: [...plan.loss], near: risk.near, waste: [...risk.wasted],
      N: optima.map(({ logN }) => [...logN]), L: optima.map(({ loss }) => [...loss]),
      least: [...model.leastBudgets(state, [level])], document: scalefit.documentOf(model, state),
    };
  },

  words() {
    const { model, payload, state } = scalefit;
    const plan = model.plan(state());
    return [scalefit.sentence(plan, model.risk(state()).near, state(), payload), scalefit.caution(plan.flops, state(), payload)];
  },

  roundTrips(count) {
    const { encode, decode, payload: { initial, budgets } } = scalefit;
    const random = (low, high) => Math.exp(Math.log(low) + Math.random() * Math.log(high / low));
    const one = () => {
      const state = {
        ...initial, inputs: { ...initial.inputs }, budget: random(...budgets), unit: "money", shape: "params",
        params: random(1e6, 1e12), unique: random(1e9, 1e13), served: random(1e9, 1e13), target: random(1.5, 3), prob: 0.8,
        discrepancy: false, mfu: 0.37, accelerator: "B200", price: 3.5,
      };
      return JSON.stringify(decode(encode(state, initial), initial)) === JSON.stringify(state);
    };
    return Array.from({ length: count }, one).every(Boolean);
  },

  staysFirst: (hash) => JSON.stringify(scalefit.decode(hash, scalefit.payload.initial)) === JSON.stringify(scalefit.payload.initial),

  open(id) {
    const found = document.getElementById(id);
    (found.open === undefined ? found.querySelector("details") : found).open = true;
  },

  async violations() {
    const { violations } = await axe.run();
    const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    return grave.map(({ id, nodes }) => [id, ...nodes.slice(0, 3).map(({ html }) => html.slice(0, 120))]);
  },

  panels: () =>
    [...document.querySelectorAll(".panel:not([hidden])")].map((panel) => {
      const label = panel.querySelector(".plot")?.getAttribute("aria-label") ?? "";
      return [panel.querySelector("h2").textContent, panel.querySelectorAll(".main-svg").length, label];
    }),

  /** Milliseconds until the first paint, of a new plan, and of a new frontier. */
  times() {
    const { model, payload: { initial } } = scalefit;
    const time = (f) => {
      const start = performance.now();
      f();
      return performance.now() - start;
    };
    const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
    const plans = Array.from({ length: 9 }, (_, k) => time(() => model.plan({ ...initial, budget: initial.budget * (1.01 + k / 50) })));
    const frontiers = [1, 2, 3].map((k) => time(() => model.frontier({ ...initial, unique: 1e17 * k }, 0.9)));
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return { paint: paint.startTime, plan: middle(plans), frontier: middle(frontiers) };
  },
};
