import type { Generated } from 'kysely';

/** An image; its bytes lie in the image directory. */
export interface ImageTable {
  id: string;
  name: string | null;
  owner: string;
  status: string;
  visibility: string;
  protected: number;
  os_hidden: number;
  container_format: string | null;
  disk_format: string | null;
  min_disk: number;
  min_ram: number;
  /** Bytes; null until uploaded. */
  size: number | null;
  /** Bytes of the disk inside; null until uploaded. */
  virtual_size: number | null;
  /** Hex MD5, for clients that want it. */
  checksum: string | null;
  /** Hex SHA-512; hosts verify what they fetch with it. */
  sha512: string | null;
  /** Why servers cannot boot from it although it was accepted; null when they can. */
  unbootable_reason: string | null;
  /** Its file in the image directory, whose name no other upload ever has; null until uploaded. */
  file_name: string | null;
  created_at: string;
  updated_at: string;
  /** Soft deletion while overlays on hosts still use the bytes. */
  deleted: Generated<number>;
}

/** A custom property, a top-level string in the API. */
export interface ImagePropertyTable {
  image_id: string;
  name: string;
  value: string;
}

export interface ImageTagTable {
  image_id: string;
  tag: string;
}

/** A project that a shared image was offered to. */
export interface ImageMemberTable {
  image_id: string;
  member_id: string;
  status: string;
  created_at: string;
  updated_at: string;
}

/** Tables of the image service. */
export interface ImageTables {
  image: ImageTable;
  image_property: ImagePropertyTable;
  image_tag: ImageTagTable;
  image_member: ImageMemberTable;
}
