// Workers and refusals: plain tables, one row each.
import type { Refusal, Session, Worker } from "./api.ts";
import { StateBadge } from "./state-badge.tsx";

export function Workers({ workers, sessions }: { workers: Worker[]; sessions: Session[] }) {
  const workOf = ({ role, session: id }: Worker) =>
    role === "demo-source" ? "demo source" : (sessions.find((session) => session.id === id)?.channel ?? id ?? "–");
  return (
    <section class="panel" aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      {workers.length === 0 ? (
        <p class="empty">None: nothing runs when nothing streams.</p>
      ) : (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Worker</th>
                <th>Phase</th>
                <th>Works for</th>
                <th class="right">Process</th>
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <tr key={worker.id}>
                  <td class="figure">{worker.id}</td>
                  <td>
                    <StateBadge state={worker.phase} />
                  </td>
                  <td>{workOf(worker)}</td>
                  <td class="right figure">{[worker.node, worker.pid].filter(Boolean).join(" ") || "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

export function Refusals({ refusals }: { refusals: Refusal[] }) {
  if (refusals.length === 0) return null;
  const newest = [...refusals].sort((a, b) => (b.at ?? "").localeCompare(a.at ?? "")).slice(0, 20);
  return (
    <section class="panel" aria-labelledby="refusals">
      <h2 id="refusals">Turned away</h2>
      <ul class="refusals">
        {newest.map((refusal, index) => (
          <li key={`${refusal.at} ${index}`}>
            <span class="figure dim">{refusal.at?.slice(11, 19) ?? ""}</span>
            <div>
              <strong>{refusal.channel ?? "?"}</strong>{" "}
              <span class="dim">
                {refusal.protocol} {refusal.remote} · {refusal.code}
              </span>
              <div>{refusal.message}</div>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
