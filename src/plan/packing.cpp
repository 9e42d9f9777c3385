#include "plan/packing.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/text.hpp"
#include "job/catalogue.hpp"
#include "job/resolve.hpp"
#include "optim/schedule.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

constexpr std::uint16_t signs_number = 256;  // of no job::Codec

/// Whether error feedback round this codec forgets: a draw of qsgd may lose more than there was.
bool forgets(const job::Sync& sync) {
  if (job::inner_codec(sync) != job::Codec::qsgd) return true;
  constexpr auto bucket = static_cast<double>(codec::bucket_values);
  const auto levels = static_cast<double>(sync.levels);
  return std::min(bucket / (levels * levels), std::sqrt(bucket) / levels) < 1;
}

double bytes_of_step(const Plan& plan, const codec::Options& options, double warmed) {
  double bytes = 0;
  for (const Slice& slice : plan.slices)
    for (const Piece& piece : slice.pieces)
      bytes += static_cast<double>(codec::bytes(options, static_cast<std::size_t>(piece.count), warmed));
  return bytes;
}

}  // namespace

codec::Options codec_options(const job::Job& job) {
  const job::Sync& sync = job.sync;
  codec::Options options;
  options.signs = sync::traits(sync).votes;
  options.codec = sync.codec;
  options.inner = sync.zstd_of;
  options.feedback = options.signs ? sync.vote_feedback : sync.feedback;
  options.levels = static_cast<int>(sync.levels);
  options.density = sync.density;
  options.first_density = sync.first_density;
  options.momentum = static_cast<float>(sync.topk_momentum);
  options.masking = sync.masking;
  options.clip_norm = sync.topk_clip;
  return options;
}

codec::Options change_options(const job::Job& job) {
  codec::Options options = codec_options(job);
  const auto workers = static_cast<double>(job.topology.data_ranks());
  options.feedback = false;
  options.density = std::min(1.0, workers * options.density);
  options.first_density = std::min(1.0, workers * options.first_density);
  options.momentum = 0;
  options.clip_norm = 0;
  return options;
}

std::uint16_t codec_number(const job::Job& job) {
  return sync::traits(job.sync).votes ? signs_number : static_cast<std::uint16_t>(job.sync.codec);
}

std::string codec_label(const job::Job& job) {
  return sync::traits(job.sync).votes ? "signs" : job::codec_name(job.sync.codec);
}

std::string codec_key(const job::Job& job) {
  if (sync::traits(job.sync).votes) return "sync.vote_feedback";
  return fmt::format("sync.codec: {}", job::codec_name(job.sync.codec));
}

bool packs_gradients(const Plan& plan) {
  const sync::Traits traits = sync::traits(plan.job.sync);
  const bool any = plan.job.sync.codec != job::Codec::none || traits.votes;
  return plan.owners() > (plan.servers > 0 ? 0 : 1) && any && !traits.weights;
}

bool packs_changes(const Plan& plan) { return packs_gradients(plan) && unpacked_changes_reason(plan.job).empty(); }

std::string unpacked_changes_reason(const job::Job& job) {
  if (sync::traits(job.sync).votes) return "";
  if (job::inner_codec(job.sync) == job::Codec::none) return "which zstd makes hardly smaller";
  if (!sync::traits(job.sync).gated) return "since workers hold weights of different ages";
  if (!forgets(job.sync)) return "since so few levels lose more of a change than it is";
  return "";
}

bool keeps_model_apart(const Plan& plan) { return packs_changes(plan) && !sync::traits(plan.job.sync).votes; }

int kept_arenas(const Plan& plan) {
  if (!packs_gradients(plan)) return 0;
  const job::Sync& sync = plan.job.sync;
  if (job::inner_codec(sync) == job::Codec::topk) return sync.topk_momentum > 0 ? 2 : 1;
  return codec::has_feedback(codec_options(plan.job)) ? 1 : 0;
}

double warmed(const Plan& plan, Index applied_rows) {
  const double rows = optim::rows_of(plan.job.sync.density_warmup,
                                     {applied_rows, plan.facts.train_rows, plan.job.train.batch, plan.total_rows});
  return rows > 0 ? std::min(1.0, static_cast<double>(applied_rows) / rows) : 1;
}

double packed_bytes(const Plan& plan, const codec::Options& options) {
  const double last = bytes_of_step(plan, options, 1);
  if (job::inner_codec(plan.job.sync) != job::Codec::topk || plan.total_steps == 0) return last;
  double sum = 0;
  for (Index step = 0; step < plan.total_steps; ++step) {
    const double share = warmed(plan, plan.rows_of_steps(step));
    if (share >= 1) return (sum + static_cast<double>(plan.total_steps - step) * last) / double(plan.total_steps);
    sum += bytes_of_step(plan, options, share);
  }
  return sum / static_cast<double>(plan.total_steps);
}

std::string codec_words(const Plan& plan) {
  const job::Sync& sync = plan.job.sync;
  if (sync::traits(sync).votes) return "one bit a weight; signs of gradients up, and down those of the majority";
  std::string words = job::codec_name(sync.codec);
  if (sync.codec == job::Codec::zstd) words += fmt::format(" over {}", job::codec_name(sync.zstd_of));
  words += codec::has_feedback(codec_options(plan.job)) ? " with error feedback" : "";
  if (packs_changes(plan)) return words + "; gradients up, and down the changes of the weights";
  return words + "; gradients up, weights down as they are, " + unpacked_changes_reason(plan.job);
}

}  // namespace dtrain::plan
