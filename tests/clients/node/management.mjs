// The official OpenRouter client for Node manages an account; unmodified but for base URL and key.
import { createHash } from "node:crypto";
import { OpenRouter } from "@openrouter/sdk";
import { MODEL, refusal, run } from "./cases.mjs";

const VERIFIER = "a-verifier_of.enough~characters-0123456789-abcdef";
const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");
const connect = (url, apiKey) => new OpenRouter({ serverURL: `${url}/api/v1`, apiKey });
const manager = ({ url, management }) => connect(url, management);
const caller = ({ url, key }) => connect(url, key);
const status = (error) => ({ status: error.statusCode });

async function firstPage(pages) {
  for await (const page of pages) return page.result.data;
}

await run({
  async keys(context) {
    const { apiKeys } = manager(context);
    const made = await apiKeys.create({
      requestBody: { name: "made by node", limit: 7.5, limitReset: "monthly", expiresAt: new Date("2999-01-01") },
    });
    const { hash } = made.data;
    const one = await apiKeys.get({ hash });
    const changed = await apiKeys.update({ hash, requestBody: { name: "changed", disabled: true } });
    const listed = await apiKeys.list({ includeDisabled: true });
    if (!listed.data.some((key) => key.hash === hash)) throw new Error("it is not listed");
    const { deleted } = await apiKeys.delete({ hash });
    return { limit: one.data.limit, name: changed.data.name, disabled: changed.data.disabled, deleted };
  },

  async current_key(context) {
    const { data } = await caller(context).apiKeys.getCurrentKeyMetadata();
    return { management: data.isManagementKey, free: data.freeModelDailyRequests?.limit ?? 0 };
  },

  async workspaces(context) {
    const { workspaces } = manager(context);
    const made = await workspaces.create({ createWorkspaceRequest: { name: "By Node", slug: "by-node" } });
    const { id, slug } = made.data;
    await workspaces.update({ id, updateWorkspaceRequest: { description: "d" } });
    const known = await firstPage(await workspaces.list());
    if (!known.some((one) => one.id === id)) throw new Error("it is not listed");
    const members = await firstPage(await workspaces.listMembers({ id: "default" }));
    await workspaces.bulkAddMembers({ id, bulkAddWorkspaceMembersRequest: { userIds: [members[0].userId] } });
    await workspaces.bulkRemoveMembers({ id, bulkRemoveWorkspaceMembersRequest: { userIds: [members[0].userId] } });
    const at = { workspaceRef: id, interval: "weekly" };
    const budget = await workspaces.setBudget({ ...at, upsertWorkspaceBudgetRequest: { limitUsd: 50 } });
    await workspaces.getBudget(at);
    await workspaces.listBudgets({ workspaceRef: id });
    await workspaces.deleteBudget(at);
    const { deleted } = await workspaces.delete({ id });
    return { slug, members: members.length, budget: budget.data.limitUsd, deleted };
  },

  async credits(context) {
    const { data } = await manager(context).credits.getCredits();
    return { numbers: data.totalCredits >= 0 && data.totalUsage >= 0 };
  },

  async analytics(context) {
    const { analytics } = manager(context);
    const meta = await analytics.getAnalyticsMeta();
    await analytics.getUserActivity();
    const asked = await analytics.queryAnalytics({ requestBody: { metrics: ["request_count"] } });
    return { metrics: meta.data.metrics.length > 0, rows: asked.data.metadata.rowCount >= 0 };
  },

  async byok(context) {
    const { byok } = manager(context);
    const made = await byok.create({ createBYOKKeyRequest: { provider: "openai", key: `sk-proj-${"y".repeat(40)}` } });
    const { id } = made.data;
    await byok.get({ id });
    await firstPage(await byok.list());
    const changed = await byok.update({ id, updateBYOKKeyRequest: { name: "m" } });
    const { deleted } = await byok.delete({ id });
    return { name: changed.data.name, deleted };
  },

  async oauth(context) {
    const { oAuth } = caller(context);
    const code = await oAuth.createAuthCode({
      requestBody: { callbackUrl: "https://node.example/back", codeChallenge: CHALLENGE, codeChallengeMethod: "S256" },
    });
    const got = await oAuth.exchangeAuthCodeForAPIKey({
      requestBody: { code: code.data.id, codeVerifier: VERIFIER, codeChallengeMethod: "S256" },
    });
    return { key: got.key.slice(0, 9) };
  },

  async feedback(context) {
    const answer = await caller(context).chat.send({ chatRequest: { model: MODEL, messages: context.messages() } });
    const said = await manager(context).generations.submitFeedback({
      submitGenerationFeedbackRequest: { generationId: answer.id, category: "latency" },
    });
    await caller(context).generations.getGeneration({ id: answer.id });
    return { success: said.data.success };
  },

  async members(context) {
    const { status: code } = await refusal(() => manager(context).organization.listMembers(), status);
    return { status: code };
  },

  async wrong_kind(context) {
    const { status: code } = await refusal(() => caller(context).apiKeys.list(), status);
    return { status: code };
  },
});
