#include "plan/pieces.hpp"

#include <algorithm>

#include "math/fold.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

constexpr Index piece_weights = 262144;            // 1 MiB: smaller pieces cost more per byte (bench/REFERENCE.md)
constexpr Index part_weights = 65536;              // the same of the parts of a bucket, which are many
constexpr Index most_row_piece_weights = 1 << 23;  // 32 MiB if all rows are touched: half of what a message may have
constexpr Index small_weights = 16384;             // below 64 KiB a layer travels with its neighbour

/// Cuts [begin, end) of one or more layers into nearly equal pieces of about `size` weights.
void cut(Index begin, Index end, int first_layer, int last_layer, Index size, std::vector<Piece>& out) {
  const Index count = end - begin;
  const Index parts = std::max<Index>(1, (count + size / 2) / size);
  for (Index i = 0; i < parts; ++i) {
    const Index from = begin + count * i / parts, to = begin + count * (i + 1) / parts;
    out.push_back({from, to - from, first_layer, last_layer});
  }
}

/// Backward visits the last layer first: small layers wait for the next one that backward reaches.
std::vector<Piece> make_pieces(const model::Layout& layout, Index begin, Index end, Index size = piece_weights) {
  std::vector<Piece> pieces;
  Index open_end = end;  // upper border of the layers collected so far
  int last = -1;
  for (int layer = static_cast<int>(layout.layers.size()) - 1; layer >= 0; --layer) {
    const model::Range& range = layout.layers[static_cast<std::size_t>(layer)];
    const Index from = std::max(range.begin, begin);
    if (from >= std::min(range.end, end)) continue;
    if (last < 0) last = layer;
    if (open_end - from < small_weights && from > begin) continue;
    cut(from, open_end, layer, last, size, pieces);
    open_end = from;
    last = -1;
  }
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.offset < b.offset; });
  return pieces;
}

/// The first matrix in few pieces of whole rows, which travel without most of them, before what is left of the slice.
std::vector<Piece> make_row_pieces(const model::Layout& layout, Index begin, Index end) {
  const model::Tensor& matrix = layout.tensors.front();
  const Index size = std::max<Index>(1, most_row_piece_weights / matrix.cols) * matrix.cols;
  std::vector<Piece> pieces;
  Index from = begin;
  for (const Index last = std::min(end, matrix.count()); from < last;) {
    const Index to = std::min(last, (from / size + 1) * size);
    pieces.push_back({from, to - from, 0, 0, true});
    from = to;
  }
  if (from == end) return pieces;
  const std::vector<Piece> rest = make_pieces(layout, from, end);
  pieces.insert(pieces.end(), rest.begin(), rest.end());
  return pieces;
}

std::vector<Slice> make_slices(const model::Layout& layout, int servers, bool by_rows) {
  const Index blocks = (layout.total + block_weights - 1) / block_weights;
  std::vector<Slice> slices;
  for (Index m = 0; m < servers; ++m) {
    const Index begin = blocks * m / servers * block_weights;
    const Index end = std::min(layout.total, blocks * (m + 1) / servers * block_weights);
    slices.push_back({begin, end, by_rows ? make_row_pieces(layout, begin, end) : make_pieces(layout, begin, end)});
  }
  return slices;
}

/// Buckets in the order of the weights, and every worker's parts of them.
void share_among_workers(Plan& plan) {
  constexpr Index line_weights = 16;  // parts end where cache lines do
  const Index size = std::max<Index>(piece_weights, plan.workers * part_weights);
  for (const Piece& piece : make_pieces(plan.layout, 0, plan.layout.total, size)) {
    const collective::Range range{piece.offset, piece.offset + piece.count};
    plan.buckets.push_back({piece, even_borders(plan.algorithm, plan.workers, range, line_weights)});
  }
  plan.slices.assign(static_cast<std::size_t>(plan.workers), {0, plan.layout.total, {}});
  for (const Bucket& bucket : plan.buckets)
    for (std::size_t c = 0; c + 1 < bucket.borders.size(); ++c) {
      const Index begin = bucket.borders[c], count = bucket.borders[c + 1] - begin;
      const int owner = collective::owner(plan.algorithm, static_cast<int>(c), plan.workers);
      if (count > 0)
        plan.slices[static_cast<std::size_t>(owner)].pieces.push_back(
            {begin, count, bucket.piece.first_layer, bucket.piece.last_layer});
    }
}

}  // namespace

collective::Algorithm decide_algorithm(const Plan& plan) {
  using Kind = job::TopologyKind;
  using collective::Algorithm;
  // What is packed is unpacked only by the owner: it would not be the same after each hop.
  if (plan.job.sync.codec != job::Codec::none || sync::traits(plan.job.sync).votes) return Algorithm::direct;
  switch (plan.job.topology.kind) {
    case Kind::halving_doubling: return Algorithm::halving_doubling;
    case Kind::tree: return Algorithm::tree;
    case Kind::automatic: return collective::choose(plan.layout.total, plan.workers);
    case Kind::ring:
    case Kind::parameter_server:
    case Kind::gossip: break;
  }
  return Algorithm::ring;
}

void share_weights(Plan& plan) {
  if (plan.pairs()) {
    plan.slices.assign(static_cast<std::size_t>(plan.workers), {0, plan.layout.total, {}});
    plan.slices.front().pieces = make_pieces(plan.layout, 0, plan.layout.total);
  } else if (plan.peers()) {
    share_among_workers(plan);
  } else {
    plan.slices = make_slices(plan.layout, std::max(1, plan.servers), plan.sparse == Sparse::rows);
  }
}

}  // namespace dtrain::plan
