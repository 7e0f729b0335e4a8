// Data: what the files of a data block hold, the arrays that the block makes of it, and which rows train.
//
//   sources.c   the files: tables and arrays
//   feeds.c     what the block's fields read of them, as numbers, some rows at a time
//   local.c     what of a file a field reads: of which columns, and whether of each row by itself
//   fields.c    the fields' values, kept or computed when they are asked for
//   split.c     rows that train and rows that are held out
//   ranges.c    class numbers
//   data.c      all of it in order
#ifndef GRADC_RUNTIME_DATA_H
#define GRADC_RUNTIME_DATA_H

#include "runtime/files/csv.h"
#include "runtime/files/map.h"
#include "runtime/files/npz.h"

// ---- shuffle.c

// What a permutation is for: each purpose has random numbers of its own.
typedef enum { SHUFFLE_SPLIT = 1, SHUFFLE_EPOCH = 2 } ShufflePurpose;

// Puts `items` in a random order that (seed, purpose, number) says, the same on every machine.
void shuffle(int64_t *items, int64_t count, uint64_t seed, ShufflePurpose purpose, uint64_t number);

// ---- the parts of a data set

// An array of one of the files.
typedef struct {
    const char *path, *name;
    MappedFile map;   // of a npy file
    Npz *npz;         // or: that file's array number `member`
    int member;
    void *bytes;          // of a npz file: where it is unpacked
    StoredArray stored;   // once `read`
    bool read;
} SourceArray;

typedef struct {
    int array_count, npz_count;
    SourceArray *arrays;
    Npz **npzs;
    const char *table_path;   // of a CSV file; NULL: there is none
    char *text;
    Csv csv;
    Cells cells;
} Sources;

// What a feed of the block reads.
typedef struct {
    bool found;
    SourceArray *array;   // NULL: the cells of a CSV file
    bool by_columns;      // of a table, `columns` of them; a number of -1 is one that the file lacks and nobody reads
    int64_t *columns;
    int64_t width;   // numbers in a row
} OpenFeed;

// One field of a data block.
typedef struct {
    const DataField *field;
    gradc_tensor tensor;   // shape[0]: all rows. data NULL: they are computed when they are asked for
    size_t row_bytes;
} FieldArray;

typedef struct {
    gradc_program *program;
    const DataBlock *block;
    Arena *arena;       // owns what is not said otherwise
    const char *path;   // of the files, for messages
    Sources sources;
    int64_t table_width;   // columns of the table; -1: there is none
    bool *used;            // its columns that loaded fields read
    OpenFeed *feeds;       // one for each of the block's
    int64_t *dims;         // of the program's open dims: those of the fields' shapes; -1: not known
    int64_t rows;
    int64_t keep, kept;   // bytes of fields that may be kept in memory, and that are
    int field_count;
    FieldArray *fields;   // those that were asked for
    int64_t training_count, held_count;
    int64_t *training;   // rows that train, ascending
    int64_t *held;       // rows held out, ascending; all rows if the block holds out none
} DataSet;

// ---- sources.c

// Opens the block's files, or `file` in their place; of arrays no element is read. What it opened is in data->sources
// even on failure.
gradc_status sources_open(DataSet *data, const char *file);
void sources_close(Sources *sources);
void sources_close_arrays(Sources *sources);   // they are not read again
// The array of that name; `alone`: a single array goes by any name. NULL: there is none.
SourceArray *sources_find(Sources *sources, const char *name, bool alone);
// Finds its type, shape and elements.
gradc_status source_read(DataSet *data, SourceArray *array);
// Where a row is, for the beginning of a message: "flowers.csv:17", or "train.npz, row 15".
enum { PLACE_SIZE = 512 };
const char *data_place(const DataSet *data, int64_t row, char place[PLACE_SIZE]);

// ---- feeds.c

// Finds what the feeds of the wanted fields read, the number of rows, and all sizes. wanted[i]: of the block's field i.
gradc_status feeds_open(DataSet *data, const bool *wanted);
// The numbers of `count` rows of a feed, one row after another. `scratch` gives memory.
gradc_status feed_rows(const DataSet *data, int feed, const int64_t *rows, int64_t count, double *to, Arena *scratch);

// ---- local.c

// Marks the columns of the table that the field reads; `width`: of the feed of all columns. Needs: the sizes.
void mark_columns(const DataSet *data, const DataField *field, int64_t width, bool *used);
// Whether the field reads columns by number, and only such as the entry's inputs read, too.
gradc_status reads_inputs_columns(const DataSet *data, const DataField *field, const Entry *entry, bool *same);
// Whether each row of the field is made of the same row of the files, and of nothing else.
bool is_by_rows(const DataSet *data, const DataField *field);
// Whether something in the field, such as a mean, joins the numbers of several rows. What is neither this nor by rows is
// not known to be the one or the other.
bool is_of_all_rows(const DataSet *data, const DataField *field);

// ---- fields.c

// Computes the field and keeps it, unless it is too large.
gradc_status field_load(DataSet *data, const DataField *field, FieldArray *array);
// Gives `count` rows of a field, one after another.
gradc_status data_gather(const DataSet *data, const FieldArray *field, const int64_t *rows, int64_t count, void *to);

// ---- split.c

gradc_status split_rows(DataSet *data);

// ---- data.c

typedef struct {
    const char *file;     // another in place of the block's own; NULL: those
    const bool *wanted;   // by number of the field; NULL: those that entries take
    int64_t keep;         // bytes of fields that may be kept in memory; 0: as many as seem right
    bool whole;           // no row is held out: training, held and their counts stay 0
    bool foreign;         // not the rows that trained: what is made of all rows at once would not be as it was then
} DataRequest;
// What to read to have those rows.
DataRequest request_for_rows(gradc_rows rows, const char *file, const bool *wanted);

// Reads the block's files and computes its fields. Free it in any case.
gradc_status data_load_request(gradc_program *program, const DataBlock *block, const DataRequest *request,
                               DataSet *data);
gradc_status data_load(gradc_program *program, const DataBlock *block, const char *file, DataSet *data);
void data_free(DataSet *data);
// The field of that name, or NULL.
const FieldArray *data_field(const DataSet *data, const char *name);

// Rows of a data set: `rows` NULL: those from 0 to count - 1.
typedef struct {
    const int64_t *rows;
    int64_t count;
} RowSet;
// other_file: one was given in place of the block's.
RowSet data_rows(const DataSet *data, gradc_rows rows, bool other_file);

// The data block of that name, or the first. NULL: there is none, and the program's message says so.
const DataBlock *find_data(gradc_program *program, const char *name);
// Whether the block has a field for each input of the entry, of the input's dtype and rank.
bool data_feeds(const DataBlock *block, const Entry *entry);
// Whether the entry takes an input of that name.
bool entry_takes(const Entry *entry, const char *name);

// ---- ranges.c

// Checks the fields that the entry takes as class numbers or indices, for all rows.
gradc_status data_check_ranges(const DataSet *data, const Entry *entry);

#endif
