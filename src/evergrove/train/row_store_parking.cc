// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/row_store_parking.h"

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"

namespace evergrove::train {
namespace {

template <typename Vector>
uint64_t bytes_of(const Vector& values) {
  return values.size() * sizeof(typename Vector::value_type);
}

template <typename Vector>
Status put(ScratchFile& file, const ScratchPlace& place, const Vector& values) {
  CHECK(bytes_of(values) == place.bytes);
  return file.write(place, values.data());
}

template <typename Vector>
Status get(const ScratchFile& file, const ScratchPlace& place, Vector& values) {
  values.resize(place.bytes / sizeof(typename Vector::value_type));
  return file.read(place, values.data());
}

Status get_margins(const ScratchFile& file, const ScratchPlace& place, Margins& margins) {
  LargeVector<int64_t> values;
  EVERGROVE_RETURN_IF_ERROR(get(file, place, values));
  margins.give_values(std::move(values));
  return {};
}

Status put_margins(ScratchFile& file, const ScratchPlace& place, Margins& margins) {
  LargeVector<int64_t> values = margins.take_values();
  const Status status = put(file, place, values);
  margins.give_values(std::move(values));
  return status;
}

template <typename Vector>
void give_back(Vector& values) {
  Vector().swap(values);
}

}  // namespace

Status RowStore::park(ScratchFile& file) {
  CHECK(!parking_ && trees_.empty() && next_margins_.empty());
  parking_ = std::make_shared<Parking>();
  parking_->file = &file;
  parking_->sets.resize(margins_.size());
  partition_ = trees::RowPartition(/*is_tight=*/true);
  for (size_t i = 0; i < margins_.size(); ++i) {
    Dataset& data = set(i);
    Parking::Set& places = parking_->sets[i];
    if (data.bins.has_columns()) data.bins.build_rows_alone();
    LargeVector<uint8_t> rows = data.bins.take_rows();
    places.bins = file.reserve(bytes_of(rows));
    EVERGROVE_RETURN_IF_ERROR(put(file, places.bins, rows));
    data.bins.give_rows(std::move(rows));
    places.classes = file.reserve(bytes_of(data.classes));
    EVERGROVE_RETURN_IF_ERROR(put(file, places.classes, data.classes));
    places.targets = file.reserve(bytes_of(data.targets));
    EVERGROVE_RETURN_IF_ERROR(put(file, places.targets, data.targets));
    places.weights = file.reserve(bytes_of(data.weights));
    EVERGROVE_RETURN_IF_ERROR(put(file, places.weights, data.weights));
    const uint64_t margin_bytes = margins_[i].all().size_bytes();
    places.margins = file.reserve(margin_bytes);
    if (output_count() > 1) places.next_margins = file.reserve(margin_bytes);
  }
  parking_->wide_gradients = file.reserve(row_count() * sizeof(trees::WideGradient));
  return release(kMargins);
}

Status RowStore::fetch(unsigned parts) {
  CHECK(parking_ != nullptr);
  const PhaseScope scope(Phase::fetch);
  const ScratchFile& file = *parking_->file;
  for (size_t i = 0; i < margins_.size(); ++i) {
    Dataset& data = set(i);
    const Parking::Set& places = parking_->sets[i];
    if ((parts & kBins) != 0) {
      LargeVector<uint8_t> rows;
      EVERGROVE_RETURN_IF_ERROR(get(file, places.bins, rows));
      data.bins.give_rows(std::move(rows));
    }
    if ((parts & kLabels) != 0) {
      EVERGROVE_RETURN_IF_ERROR(get(file, places.classes, data.classes));
      EVERGROVE_RETURN_IF_ERROR(get(file, places.targets, data.targets));
      EVERGROVE_RETURN_IF_ERROR(get(file, places.weights, data.weights));
    }
    if ((parts & kMargins) != 0) {
      EVERGROVE_RETURN_IF_ERROR(get_margins(file, places.margins, margins_[i]));
      if (!next_margins_.empty()) {
        EVERGROVE_RETURN_IF_ERROR(get_margins(file, places.next_margins, next_margins_[i]));
      }
    }
  }
  if ((parts & kGradients) != 0 && gradients_[output_].wide) {
    EVERGROVE_RETURN_IF_ERROR(get(file, parking_->wide_gradients, gradients_[output_].wide_pairs));
  }
  if ((parts & kLabels) != 0) gradient_maker_ = GradientMaker(header_, facts_, data_.train);
  return {};
}

Status RowStore::release(unsigned changed) {
  CHECK(parking_ != nullptr);
  const PhaseScope scope(Phase::fetch);
  ScratchFile& file = *parking_->file;
  for (size_t i = 0; i < margins_.size(); ++i) {
    const Parking::Set& places = parking_->sets[i];
    if ((changed & kMargins) != 0) {
      EVERGROVE_RETURN_IF_ERROR(put_margins(file, places.margins, margins_[i]));
      if (!next_margins_.empty()) {
        EVERGROVE_RETURN_IF_ERROR(put_margins(file, places.next_margins, next_margins_[i]));
      }
    }
    margins_[i].take_values();
    if (!next_margins_.empty()) next_margins_[i].take_values();
    Dataset& data = set(i);
    data.bins.take_rows();
    give_back(data.classes);
    give_back(data.targets);
    give_back(data.weights);
  }
  trees::Gradients& gradients = gradients_[output_];
  if ((changed & kGradients) != 0 && gradients.wide) {
    EVERGROVE_RETURN_IF_ERROR(put(file, parking_->wide_gradients, gradients.wide_pairs));
  }
  for (trees::Gradients& each : gradients_) {
    give_back(each.narrow);
    give_back(each.wide_pairs);
  }
  gradient_maker_.forget();
  return {};
}

}  // namespace evergrove::train
