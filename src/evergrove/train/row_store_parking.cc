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

// Reads an array into the memory of `room`, or into more where that does not suffice. What was in
// it is not copied there.
template <typename Vector>
Status get(const ScratchFile& file, const ScratchPlace& place, Vector& room, Vector& values) {
  const size_t count = place.bytes / sizeof(typename Vector::value_type);
  values = std::move(room);
  if (values.capacity() < count) values = Vector();
  values.resize(count);
  return file.read(place, values.data());
}

Status get_margins(const ScratchFile& file, const ScratchPlace& place, LargeVector<int64_t>& room,
                   Margins& margins) {
  LargeVector<int64_t> values;
  EVERGROVE_RETURN_IF_ERROR(get(file, place, room, values));
  margins.give_values(std::move(values));
  return {};
}

Status put_margins(ScratchFile& file, const ScratchPlace& place, Margins& margins) {
  LargeVector<int64_t> values = margins.take_values();
  const Status status = put(file, place, values);
  margins.give_values(std::move(values));
  return status;
}

// Leaves `values` without memory; `room` has it, or what it had, if that is more.
template <typename Vector>
void keep_memory(Vector& room, Vector&& values) {
  if (values.capacity() > room.capacity()) room.swap(values);
  Vector().swap(values);
}

}  // namespace

Status RowStore::park(ParkingLot& lot) {
  CHECK(!parking_ && trees_.empty() && next_margins_.empty());
  parking_ = std::make_shared<Parking>();
  parking_->lot = &lot;
  parking_->room = lot.take();
  parking_->room.sets.resize(margins_.size());
  parking_->sets.resize(margins_.size());
  ScratchFile& file = lot.file();
  forget_tree();
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
  const ScratchFile& file = parking_->lot->file();
  ParkingLot::Room& room = parking_->room;
  room = parking_->lot->take();
  room.sets.resize(margins_.size());
  for (size_t i = 0; i < margins_.size(); ++i) {
    Dataset& data = set(i);
    const Parking::Set& places = parking_->sets[i];
    ParkingLot::Room::Set& arrays = room.sets[i];
    if ((parts & kBins) != 0) {
      LargeVector<uint8_t> rows;
      EVERGROVE_RETURN_IF_ERROR(get(file, places.bins, arrays.bins, rows));
      data.bins.give_rows(std::move(rows));
    }
    if ((parts & kLabels) != 0) {
      EVERGROVE_RETURN_IF_ERROR(get(file, places.classes, arrays.classes, data.classes));
      EVERGROVE_RETURN_IF_ERROR(get(file, places.targets, arrays.targets, data.targets));
      EVERGROVE_RETURN_IF_ERROR(get(file, places.weights, arrays.weights, data.weights));
    }
    if ((parts & kMargins) != 0) {
      EVERGROVE_RETURN_IF_ERROR(get_margins(file, places.margins, arrays.margins, margins_[i]));
      if (!next_margins_.empty()) {
        EVERGROVE_RETURN_IF_ERROR(
            get_margins(file, places.next_margins, arrays.next_margins, next_margins_[i]));
      }
    }
  }
  trees::Gradients& gradients = gradients_[output_];
  if ((parts & kGradients) != 0 && gradients.wide) {
    EVERGROVE_RETURN_IF_ERROR(
        get(file, parking_->wide_gradients, room.gradients.wide_pairs, gradients.wide_pairs));
  }
  if ((parts & kLabels) != 0) gradient_maker_ = GradientMaker(header_, facts_, data_.train);
  return {};
}

Status RowStore::release(unsigned changed) {
  CHECK(parking_ != nullptr);
  const PhaseScope scope(Phase::fetch);
  ScratchFile& file = parking_->lot->file();
  ParkingLot::Room room = std::exchange(parking_->room, {});
  for (size_t i = 0; i < margins_.size(); ++i) {
    const Parking::Set& places = parking_->sets[i];
    ParkingLot::Room::Set& arrays = room.sets[i];
    if ((changed & kMargins) != 0) {
      EVERGROVE_RETURN_IF_ERROR(put_margins(file, places.margins, margins_[i]));
      if (!next_margins_.empty()) {
        EVERGROVE_RETURN_IF_ERROR(put_margins(file, places.next_margins, next_margins_[i]));
      }
    }
    keep_memory(arrays.margins, margins_[i].take_values());
    if (!next_margins_.empty()) keep_memory(arrays.next_margins, next_margins_[i].take_values());
    Dataset& data = set(i);
    keep_memory(arrays.bins, data.bins.take_rows());
    keep_memory(arrays.classes, std::move(data.classes));
    keep_memory(arrays.targets, std::move(data.targets));
    keep_memory(arrays.weights, std::move(data.weights));
  }
  if ((changed & kGradients) != 0 && gradients_[output_].wide) {
    EVERGROVE_RETURN_IF_ERROR(put(file, parking_->wide_gradients, gradients_[output_].wide_pairs));
  }
  for (trees::Gradients& each : gradients_) {
    keep_memory(room.gradients.narrow, std::move(each.narrow));
    keep_memory(room.gradients.wide_pairs, std::move(each.wide_pairs));
  }
  gradient_maker_.forget();
  parking_->lot->give_back(std::move(room));
  return {};
}

}  // namespace evergrove::train
