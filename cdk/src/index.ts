export * from './client';
export * from './m2m';
export * from './props';
export * from './provider';
export * from './resource-server';
