#include "model/micro_batch.hpp"

#include <algorithm>

#include "math/fold.hpp"
#include "math/teams.hpp"

namespace dtrain::model {
namespace {

// Elements of a plain pass over memory that pay for one more team.
constexpr double fold_grain = 65536;

template <class Values>
Values within(Values values, Index first, Index count) {
  return values.empty() ? values : values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

}  // namespace

template <class Real>
MicroBatch<Real> micro_batch(const Batch<Real>& batch, int index, int parts) {
  const Index all = batch.features.rows, share = all / parts, longer = all % parts;
  const Index first = index * share + std::min<Index>(index, longer), rows = share + (index < longer ? 1 : 0);
  MicroBatch<Real> micro{{{nullptr, rows, batch.features.cols},
                          within(batch.targets, first, rows),
                          within(batch.rows, first, rows),
                          batch.sparse},
                         index,
                         parts,
                         all};
  if (batch.sparse)
    micro.batch.sparse->first += first;
  else if (batch.features.data != nullptr)
    micro.batch.features = batch.features.below(first, rows);
  return micro;
}

template <class Real>
void GradientFold<Real>::add(int l, Passes<Real>& passes, const MicroBatch<Real>& micro, Span gradient) {
  const Span own = micro.first() ? gradient : later();
  if (l == 0 && micro.batch.sparse) return add_sparse(passes, micro, own, gradient);
  passes.weight_gradient(l, passes.slot(micro.index), micro.rows(), own);
  fold(shape_.layer(l).range, micro, own, gradient);
}

/// Touched rows of the first weights have a gradient of their own, and only the biases lie in the flat vector.
template <class Real>
void GradientFold<Real>::add_sparse(Passes<Real>& passes, const MicroBatch<Real>& micro, Span own, Span gradient) {
  const SparseInput<Real>& input = *micro.batch.sparse;
  const LayerShape& layer = shape_.layers.front();
  const Span to = input.first_gradient;
  if (!micro.first() && later_rows_.size() < to.size()) later_rows_.resize(to.size());
  const Span rows = micro.first() ? to : Span(later_rows_).first(to.size());
  passes.sparse_weight_gradient(micro.batch, rows, own);
  fold({0, std::ssize(to)}, micro, rows, to);
  fold({layer.bias_offset(), layer.range.end}, micro, own, gradient);
  if (micro.last() && input.fills_gradient) fill(input, gradient);
}

/// The whole gradient of the first weights: touched rows among zeros.
template <class Real>
void GradientFold<Real>::fill(const SparseInput<Real>& input, Span gradient) const {
  const LayerShape& layer = shape_.layers.front();
  const Index out = layer.outputs.count;
  std::fill_n(gradient.data() + layer.range.begin, layer.in * out, Real{0});
  const Real* from = input.first_gradient.data();
  for (const std::uint32_t feature : input.touched->features()) {
    std::copy_n(from, out, gradient.data() + layer.range.begin + feature * out);
    from += out;
  }
}

template <class Real>
typename GradientFold<Real>::Span GradientFold<Real>::later() {
  if (later_.size() == 0) later_ = Block64<Real>(shape_.layout.total);
  return later_.span();
}

/// Folds a range of one micro-batch's gradient into the whole.
template <class Real>
void GradientFold<Real>::fold(Range range, const MicroBatch<Real>& micro, std::span<const Real> from, Span to) const {
  if (micro.parts == 1) return;
  const int teams = useful_teams(static_cast<double>(range.count()), fold_grain, threads_);
  in_teams(teams, [&](int team) {
    const auto begin = static_cast<std::size_t>(range.begin + cut(range.count(), teams, team, block_weights));
    const auto end = static_cast<std::size_t>(range.begin + cut(range.count(), teams, team + 1, block_weights));
    if (micro.first())
      fold_first(micro.factor(), from.subspan(begin, end - begin), to.subspan(begin, end - begin));
    else
      fold_next(micro.factor(), from.subspan(begin, end - begin), to.subspan(begin, end - begin));
  });
}

template MicroBatch<float> micro_batch(const Batch<float>&, int, int);
template MicroBatch<double> micro_batch(const Batch<double>&, int, int);
template class GradientFold<float>;
template class GradientFold<double>;

}  // namespace dtrain::model
