#include "job/fields.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

/// When a rank goes on.
void add_gate_keys(Keys& keys) {
  keys.push_back(in_unit(integer_key("sync.staleness", JOB_FIELD(sync.staleness), between(0, 1e9), "3",
                                     "Under ssp, how far a worker may be ahead of the slowest."),
                         "steps"));
  keys.push_back(boolean_key("sync.eager", JOB_FIELD(sync.eager), "false",
                             "Under ssp, whether all workers get fresh weights whenever the slowest moves on."));
  keys.push_back(auto_integer_key("sync.quorum", JOB_FIELD(sync.quorum), between(1, 10000),
                                  "Under quorum, how many pushes end a step; auto is all workers but one."));
  keys.push_back(auto_integer_key("sync.size", JOB_FIELD(sync.size), between(1, 10000),
                                  "Under subset, how many workers are drawn for a step; auto is half of them."));
  keys.push_back(choice_key<Adapts>("sync.adapt", JOB_FIELD(sync.adapt),
                                    {{"staleness", Adapts::staleness}, {"period", Adapts::period}}, "staleness",
                                    "Under adaptive, what is set while running: the staleness of ssp, by the measured "
                                    "waits, or the period of local, by the loss."));
  keys.push_back(integer_key("sync.low", JOB_FIELD(sync.low), between(0, 1e9), "0",
                             "Under adaptive, the least staleness or period."));
  keys.push_back(integer_key("sync.high", JOB_FIELD(sync.high), between(0, 1e9), "10",
                             "Under adaptive, the greatest staleness or period."));
}

/// Policies whose workers step by themselves.
void add_weight_keys(Keys& keys) {
  keys.push_back(in_unit(integer_key("sync.period", JOB_FIELD(sync.period), between(1, 1e9), "10",
                                     "Under local, easgd and bmuf, a worker's own steps between two exchanges; under "
                                     "adaptive, the first such period."),
                         "steps"));
  keys.push_back(length_key("sync.single_until", JOB_FIELD(sync.single_until), false, "0 epoch",
                            "Under local, the period is 1 until then (post-local)."));
  keys.push_back(choice_key<AverageMomentum>(
      "sync.momentum", JOB_FIELD(sync.momentum),
      {{"keep", AverageMomentum::keep}, {"reset", AverageMomentum::reset}, {"average", AverageMomentum::average}},
      "keep",
      "Under local and bmuf, what becomes of the workers' optimizer moments when their weights are averaged: kept, set "
      "to zero, or averaged too."));
  keys.push_back(auto_number_key("sync.alpha", JOB_FIELD(sync.alpha), strictly_between(0, 1),
                                 "Under easgd, the share of the way that worker and centre go towards each other; auto "
                                 "is 0.9 / workers."));
  keys.push_back(auto_number_key("sync.block_momentum", JOB_FIELD(sync.block_momentum), from_to_below(0, 1),
                                 "Under bmuf, the momentum of block updates; auto is 1 - 1 / workers."));
  keys.push_back(number_key("sync.block_rate", JOB_FIELD(sync.block_rate), above(0), "1",
                            "Under bmuf, the share of a block's change that is taken."));
  keys.push_back(boolean_key("sync.nesterov", JOB_FIELD(sync.nesterov), "true",
                             "Under bmuf, whether a block starts where the momentum leads."));
}

/// Policies whose pushes are applied one by one.
void add_push_keys(Keys& keys) {
  keys.push_back(choice_key<Compensation>(
      "sync.compensation", JOB_FIELD(sync.compensation),
      {{"none", Compensation::none}, {"staleness", Compensation::staleness}, {"delay", Compensation::delay}}, "none",
      "Under asp and ssp, what is done about old gradients: nothing; the learning rate divided by the staleness; or "
      "the gradient corrected by how far the weights have moved since they were pulled."));
  keys.push_back(
      number_key("sync.lambda", JOB_FIELD(sync.lambda), at_least(0), "0.04", "Strength of sync.compensation: delay."));
  keys.push_back(boolean_key("sync.adaptive_lambda", JOB_FIELD(sync.adaptive_lambda), "false",
                             "Whether sync.lambda is divided by the root of each weight's mean squared gradient."));
  keys.push_back(
      choice_key<Rate>("sync.rate", JOB_FIELD(sync.rate), {{"full", Rate::full}, {"share", Rate::share}}, "full",
                       "Under asp and ssp, whether a push is applied as it is or scaled by its share of the batch."));
}

/// How gradients are packed.
void add_codec_keys(Keys& keys) {
  const std::vector<std::pair<std::string, Codec>> packed{{"none", Codec::none},     {"fp16", Codec::fp16},
                                                          {"bf16", Codec::bf16},     {"qsgd", Codec::qsgd},
                                                          {"onebit", Codec::onebit}, {"topk", Codec::topk}};
  auto all = packed;
  all.emplace_back("zstd", Codec::zstd);
  keys.push_back(choice_key<Codec>(
      "sync.codec", JOB_FIELD(sync.codec), all, "none",
      "How gradients are packed on their way to whoever owns the weights and, where all workers take the same steps, "
      "the changes of the weights on their way back. none: 32-bit floats; fp16, bf16: halves; qsgd: drawn levels of "
      "sync.levels; onebit: signs and two means for each 512 values; topk: the largest sync.density of the values; "
      "zstd: without loss, over what sync.zstd_of has packed."));
  keys.push_back(choice_key<Codec>("sync.zstd_of", JOB_FIELD(sync.zstd_of), packed, "none",
                                   "Under sync.codec: zstd, the codec whose bytes are packed once more."));
  keys.push_back(
      auto_boolean_key("sync.feedback", JOB_FIELD(sync.feedback),
                       "Under fp16, bf16, qsgd and onebit, whether workers add what a codec lost in one step "
                       "to the gradient of the next; auto does so under onebit."));
  keys.push_back(integer_key("sync.levels", JOB_FIELD(sync.levels), between(1, 32767), "127",
                             "Under qsgd, how many levels there are between nothing and the norm of 512 values."));
}

void add_topk_keys(Keys& keys) {
  const Bounds share{.low = 0, .high = 1, .low_open = true};
  keys.push_back(number_key("sync.density", JOB_FIELD(sync.density), share, "0.01",
                            "Under topk, the share of the values that is sent in a step."));
  keys.push_back(number_key("sync.first_density", JOB_FIELD(sync.first_density), share, "0.25",
                            "Under topk, that share in the first step; it goes to sync.density geometrically."));
  keys.push_back(length_key("sync.density_warmup", JOB_FIELD(sync.density_warmup), false, "1 epoch",
                            "Under topk, when sync.density is reached."));
  keys.push_back(number_key("sync.topk_momentum", JOB_FIELD(sync.topk_momentum), from_to_below(0, 1), "0",
                            "Under topk, the momentum of the velocity that each worker keeps: what an optimizer with "
                            "momentum would make of gradients that all are sent."));
  keys.push_back(boolean_key("sync.masking", JOB_FIELD(sync.masking), "true",
                             "Under topk with sync.topk_momentum, whether the velocity of a value that is sent begins "
                             "anew."));
  keys.push_back(number_key("sync.topk_clip", JOB_FIELD(sync.topk_clip), at_least(0), "0",
                            "Under topk, the most that the norm of a worker's gradient may be, piece by piece, before "
                            "it is added to what has not been sent; 0 allows any."));
}

void add_vote_keys(Keys& keys) {
  keys.push_back(boolean_key("sync.vote_feedback", JOB_FIELD(sync.vote_feedback), "false",
                             "Under sign_vote, whether what the signs of a gradient leave out is added to the next."));
}

}  // namespace

void add_sync_keys(Keys& keys) {
  keys.push_back(map_key("sync", "When workers wait for each other, and what they exchange."));
  keys.push_back(
      choice_key<PolicyName>("sync.policy", JOB_FIELD(sync.policy),
                             {{"bsp", PolicyName::bsp},
                              {"asp", PolicyName::asp},
                              {"ssp", PolicyName::ssp},
                              {"quorum", PolicyName::quorum},
                              {"subset", PolicyName::subset},
                              {"local", PolicyName::local},
                              {"easgd", PolicyName::easgd},
                              {"bmuf", PolicyName::bmuf},
                              {"adaptive", PolicyName::adaptive},
                              {"sign_vote", PolicyName::sign_vote},
                              {"gossip", PolicyName::gossip}},
                             "bsp",
                             "bsp: every step waits for all workers; asp: nobody waits; ssp: nobody is more "
                             "than sync.staleness steps ahead; quorum: a step takes the first pushes; "
                             "subset: a step is a few workers' drawn by lot; local: workers step alone and "
                             "average; easgd: they pull at a common centre; bmuf: averages with block "
                             "momentum; adaptive: ssp or local with a bound set while running; sign_vote: as bsp, "
                             "by the majority of the gradients' signs; gossip: pairs of workers average."));
  add_gate_keys(keys);
  add_weight_keys(keys);
  add_push_keys(keys);
  add_codec_keys(keys);
  add_topk_keys(keys);
  add_vote_keys(keys);
}

}  // namespace dtrain::job
