#pragma once
/// What travels in fewer bytes, and how: sync.codec for both directions, and under sign_vote the signs.
///
/// Up go gradients. Down, where all workers take every update in step (gated policies), go the changes of the weights,
/// so that every worker has what the owner believes that it has; elsewhere workers hold weights of different ages, and
/// are sent the weights. A change of a vote is the majority's signs, and what follows from them (role/publisher.hpp).
/// Pure; every role finds the same.

#include <cstdint>
#include <string>

#include "codec/codec.hpp"
#include "plan/plan.hpp"

namespace dtrain::plan {

/// How a gradient is packed.
codec::Options codec_options(const job::Job& job);

/// How a change of the weights is packed: without a memory, since what is not sent of it stays in the difference
/// between the owner's weights and the workers'. Under topk with as many times the density as there are workers, each
/// of whom chose for itself.
codec::Options change_options(const job::Job& job);

/// As wire::Header names it: 0 for none. And as a person does: "signs" where those are sent.
std::uint16_t codec_number(const job::Job& job);
std::string codec_label(const job::Job& job);
/// Which key is to blame for what cannot be packed: "sync.codec: onebit".
std::string codec_key(const job::Job& job);

/// Whether gradients are packed, in a run of several processes.
bool packs_gradients(const Plan& plan);
/// Whether changes of the weights are; and why not, as a person would say it ("" if they are).
bool packs_changes(const Plan& plan);
std::string unpacked_changes_reason(const job::Job& job);
/// Whether an owner then holds the weights as they would be if all of every change had been sent. A vote leaves nothing
/// out.
bool keeps_model_apart(const Plan& plan);

/// What each worker keeps back of its gradients from step to step, in arenas: a residual, and under topk a velocity.
int kept_arenas(const Plan& plan);

/// The share of sync.density_warmup that has passed.
double warmed(const Plan& plan, Index applied_rows);

/// Bytes of all pieces in the mean over the run's steps; under zstd the most. Exact where every step has rows.
double packed_bytes(const Plan& plan, const codec::Options& options);

/// "onebit; gradients up, changes of the weights down"
std::string codec_words(const Plan& plan);

}  // namespace dtrain::plan
